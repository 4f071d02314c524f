// SPDX-License-Identifier: GPL-2.0-only
/* insn pages|huge ADDRESS [TEST [SIZE [READER]]]
 *
 * pages: buffers of ordinary pages; huge: of huge ones, and messages of 16 KiB or more.
 *
 * Counts the instructions that a transfer takes, both ends and the kernel, on a
 * machine with one CPU (tools/vm/arm64.sh --count). ADDRESS is "unix", or the IPv4
 * address of the network namespace "server", to which the namespace "client"
 * connects. TEST is rr, stream or life; without it all are run, at all sizes and with
 * all readers. Of each it prints one line:
 *
 *     TEST SIZE READER BUFFERS OPERATIONS INSTRUCTIONS TCP_SHARE
 *
 * An operation of rr is a message of SIZE there and one back; of stream, one message,
 * read with 64 KiB buffers; of life, connect(), 64 bytes there and back, and close() by
 * the client, then the server. What is counted has been done before, with each byte
 * verified and then often enough for TCP to have opened its window. A stream takes this
 * or that many instructions by how sender and receiver happen to fall in step, so several
 * connections are counted, one after the other. TCP_SHARE is how much of the payload TCP
 * itself carried; life does not look.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn.h"

#define HUGE_FROM 16384 /* bytes of a message */
#define TIME_LIMIT 600 /* s of the machine's time, which stands still for no host */
#define SETTLE_US 20000 /* for acknowledgements and frees that were put off */

static const struct test {
	const char *name;
	size_t size;
	unsigned int connections; /* one after the other */
	unsigned int verified; /* operations of each, as the two below */
	unsigned int warm;
	unsigned int counted;
} tests[] = {
	{ "rr", 64, 1, 20, 100, 500 },	       { "rr", 1024, 1, 20, 100, 500 },
	{ "rr", 16384, 1, 20, 100, 300 },      { "rr", 65536, 1, 10, 60, 200 },
	{ "stream", 1024, 4, 100, 400, 8000 }, { "stream", 16384, 20, 10, 100, 500 },
	{ "stream", 65536, 24, 4, 50, 130 },   { "stream", 1048576, 24, 1, 4, 12 },
	{ "life", 64, 1, 5, 20, 200 },
};

static const char *const readers[] = { "blocking", "epoll" };

struct run {
	const struct test *test;
	enum reader reader;
	bool huge;
	struct sockaddr_storage address;
	socklen_t address_len;
	int control[2]; /* client's and server's end of what is said beside the connection */
	uint64_t instructions; /* counted, of all connections */
	uint64_t payload; /* bytes both ways, of all connections, counted or not */
	uint64_t tcp; /* how many of these TCP itself carried */
};

static const char *row = "";

void fail(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "insn: %s: ", row);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- beside the connection ---------------------------------------------------- */

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		fail("the other process is gone");
}

static void await(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		fail("the other process is gone");
}

static void enter_netns(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("can't enter %s: %s", path, strerror(errno));
	close(fd);
}

/* ---- the server ------------------------------------------------------------------ */

static void serve(struct run *run, struct end *end, unsigned int operations)
{
	const struct test *test = run->test;

	if (!strcmp(test->name, "stream")) {
		end_receive(end, test->size * operations, READ_BYTES);
		tell(run->control[1]);
		return;
	}
	for (unsigned int i = 0; i < operations; i++) {
		end_receive(end, test->size, test->size);
		end_send(end, test->size);
	}
}

static void serve_lives(struct run *run, int listener, unsigned int operations, bool verify)
{
	for (unsigned int i = 0; i < operations; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		struct end end;

		if (fd < 0)
			fail("accept: %s", strerror(errno));
		end_open(&end, fd, run->reader);
		end.verify = verify;
		serve(run, &end, 1);
		end_receive_eof(&end);
		end_close(&end);
	}
	tell(run->control[1]);
}

static void server(struct run *run, int listener)
{
	const struct test *test = run->test;
	struct end end;
	int fd;

	if (!strcmp(test->name, "life")) {
		serve_lives(run, listener, test->verified, true);
		serve_lives(run, listener, test->warm, false);
		serve_lives(run, listener, test->counted, false);
		return;
	}
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		fail("accept: %s", strerror(errno));
	end_open(&end, fd, run->reader);
	end.verify = true;
	serve(run, &end, test->verified);
	end.verify = false;
	serve(run, &end, test->warm);
	serve(run, &end, test->counted);
	end_receive_eof(&end);
	end_close(&end);
}

/* In a process of its own, which listens when this returns. */
static pid_t start_server(struct run *run)
{
	struct sockaddr *address = (struct sockaddr *)&run->address;
	int listener, one = 1;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid) {
		close(run->control[1]);
		await(run->control[0]);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(run->control[0]);
	end_choose_memory(run->huge);
	if (address->sa_family == AF_INET)
		enter_netns("server");
	listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (listener < 0 || bind(listener, address, run->address_len) || listen(listener, 8))
		fail("can't listen: %s", strerror(errno));
	tell(run->control[1]);
	server(run, listener);
	exit(0);
}

/* ---- the client ------------------------------------------------------------------ */

static void request(struct run *run, struct end *end, unsigned int operations)
{
	const struct test *test = run->test;
	bool stream = !strcmp(test->name, "stream");

	for (unsigned int i = 0; i < operations; i++) {
		end_send(end, test->size);
		if (!stream)
			end_receive(end, test->size, test->size);
	}
	if (stream)
		await(run->control[0]);
}

static void connect_end(struct run *run, struct end *end)
{
	int fd = socket(run->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&run->address, run->address_len))
		fail("can't connect: %s", strerror(errno));
	end_open(end, fd, run->reader);
}

static void live(struct run *run, unsigned int operations, bool verify)
{
	for (unsigned int i = 0; i < operations; i++) {
		struct end end;

		connect_end(run, &end);
		end.verify = verify;
		request(run, &end, 1);
		end_close(&end);
	}
	await(run->control[0]);
}

/* What was put off is done, and counted, where it was caused. */
static void settle(void)
{
	usleep(SETTLE_US);
}

static void count_life(struct run *run, int counter)
{
	uint64_t begin;

	live(run, run->test->verified, true);
	live(run, run->test->warm, false);
	settle();
	begin = counter_begin(counter);
	live(run, run->test->counted, false);
	settle();
	run->instructions += counter_end(counter) - begin;
}

static void count_transfer(struct run *run, int counter)
{
	struct end end;
	uint64_t begin;

	connect_end(run, &end);
	end.verify = true;
	request(run, &end, run->test->verified);
	end.verify = false;
	request(run, &end, run->test->warm);
	settle();
	begin = counter_begin(counter);
	request(run, &end, run->test->counted);
	settle();
	run->instructions += counter_end(counter) - begin;
	run->payload += end.sent + end.received;
	run->tcp += end_tcp_bytes(&end);
	end_close(&end);
}

static void set_address(struct run *run, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&run->address;
	struct sockaddr_un *un = (struct sockaddr_un *)&run->address;

	if (!strcmp(text, "unix")) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path + 1, "insn"); /* abstract */
		run->address_len = offsetof(struct sockaddr_un, sun_path) + sizeof("insn");
		return;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(5000);
	run->address_len = sizeof(*in);
	if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
		fail("%s is neither \"unix\" nor an IPv4 address", text);
}

static void count_connection(struct run *run, int counter)
{
	int status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run->control))
		fail("socketpair: %s", strerror(errno));
	pid = start_server(run);
	if (!strcmp(run->test->name, "life"))
		count_life(run, counter);
	else
		count_transfer(run, counter);
	if (waitpid(pid, &status, 0) != pid || status)
		fail("the server failed");
	close(run->control[0]);
}

static void count_row(struct run *run, int counter)
{
	const struct test *test = run->test;
	char name[64];

	snprintf(name, sizeof(name), "%s %zu %s", test->name, test->size, readers[run->reader]);
	row = name;
	run->instructions = run->payload = run->tcp = 0;
	for (unsigned int i = 0; i < test->connections; i++)
		count_connection(run, counter);
	printf("%s\t%zu\t%s\t%s\t%u\t%llu\t%.4f\n", test->name, test->size, readers[run->reader],
	       run->huge ? "huge" : "pages", test->connections * test->counted,
	       (unsigned long long)run->instructions,
	       run->payload ? (double)run->tcp / (double)run->payload : 0);
	fflush(stdout);
	row = "";
}

static bool is_asked(const struct run *run, int argc, char **argv)
{
	/* Life is about the connection; waiting is rr's matter. */
	if (run->reader == READER_EPOLL && !strcmp(run->test->name, "life"))
		return false;
	return (argc < 1 || !strcmp(argv[0], run->test->name)) &&
	       (argc < 2 || strtoul(argv[1], NULL, 10) == run->test->size) &&
	       (argc < 3 || !strcmp(argv[2], readers[run->reader]));
}

int main(int argc, char **argv)
{
	struct run run = { 0 };
	bool any = false;
	int counter;

	if (argc < 3 || (strcmp(argv[1], "pages") && strcmp(argv[1], "huge")))
		fail("usage: insn pages|huge unix|ADDRESS [TEST [SIZE [READER]]]");
	alarm(TIME_LIMIT);
	run.huge = !strcmp(argv[1], "huge");
	set_address(&run, argv[2]);
	if (run.address.ss_family == AF_INET)
		enter_netns("client");
	counter = counter_open();
	if (counter < 0)
		fail("can't count instructions: %s", strerror(errno));
	end_choose_memory(run.huge);
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		run.test = &tests[i];
		for (run.reader = READER_BLOCKING; run.reader <= READER_EPOLL; run.reader++) {
			if (!is_asked(&run, argc - 3, argv + 3))
				continue;
			any = true;
			if (!run.huge || run.test->size >= HUGE_FROM)
				count_row(&run, counter);
		}
	}
	if (!any)
		fail("there is no such row");
	return 0;
}
