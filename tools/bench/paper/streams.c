// SPDX-License-Identifier: GPL-2.0-only
/* streams ADDRESS pages|huge blocking|epoll SIZE READ CONNECTIONS REPEATS MS
 *
 * Counts the instructions of streams, both ends and the kernel, on a machine with one CPU. One
 * process sends messages of SIZE bytes, each in one send(), over CONNECTIONS connections in
 * turn; another reads them with buffers of READ bytes. A reader that blocks has one connection.
 * ADDRESS is "unix", or the IPv4 address of the network namespace "server", to which the namespace
 * "client" connects. Prints one line:
 *
 *     SIZE READ CONNECTIONS BUFFERS READER BYTES INSTRUCTIONS NS BY_TCP BY_CPU BY_DMA FROM TO
 *
 * NS is the machine's time, the next three are how many of the bytes were moved by whom, and the
 * last two in how many stretches of memory the sender's and the reader's buffer are. What
 * is counted has been done before, with each byte verified and then often enough for TCP to
 * have opened its windows. It is MS milliseconds long in all, in REPEATS parts, each with new
 * connections, as it depends on how sender and receiver happen to fall in step.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "insn.h"
#include "paper.h"

#define TIME_LIMIT 600 /* s of the machine's time */
#define SETTLE_US 20000 /* for acknowledgements and frees that were put off */
#define EVENTS 64
#define WARM_BYTES (4 << 20)

struct stream {
	int fd;
	uint32_t id;
	uint64_t place;
};

struct run {
	size_t size, read;
	unsigned int connections, repeats;
	uint64_t part_ns;
	bool huge, epoll;
	struct sockaddr_storage address;
	socklen_t address_len;
	int control[2]; /* client's and server's end of what is said beside the connections */
	int counter;
	char *buf;
	struct stream *streams;
	uint64_t bytes, instructions, ns; /* counted, as the next */
	struct moved moved;
};

/* ---- the server ------------------------------------------------------------------ */

static size_t receive(struct run *run, struct stream *stream, size_t limit, bool verify)
{
	ssize_t n = recv(stream->fd, run->buf, limit < run->read ? limit : run->read,
			 run->epoll ? MSG_DONTWAIT : 0);

	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		fail("recv: %s", n ? strerror(errno) : "the other end has closed");
	if (verify)
		pattern_check(run->buf, (size_t)n, stream->id, stream->place);
	stream->place += (uint64_t)n;
	return (size_t)n;
}

static void serve(struct run *run, int epoll, uint64_t left, bool verify)
{
	struct epoll_event events[EVENTS];

	while (left && !run->epoll)
		left -= receive(run, run->streams, left, verify);
	while (left) {
		int nr = epoll_wait(epoll, events, EVENTS, -1);

		if (nr < 0)
			fail("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < nr; i++)
			left -= receive(run, events[i].data.ptr, left, verify);
	}
}

static void accept_all(struct run *run, int listener, int epoll)
{
	for (unsigned int i = 0; i < run->connections; i++) {
		struct stream *stream = &run->streams[i];
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = stream };

		stream->place = 0;
		stream->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (stream->fd < 0)
			fail("accept: %s", strerror(errno));
		if (recv(stream->fd, &stream->id, sizeof(stream->id), MSG_WAITALL) !=
		    sizeof(stream->id))
			fail("no number of a connection came");
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, stream->fd, &event))
			fail("epoll_ctl: %s", strerror(errno));
		tell(run->control[1], 0);
	}
}

static void close_all(struct run *run)
{
	for (unsigned int i = 0; i < run->connections; i++)
		close(run->streams[i].fd);
}

static int listen_at(const struct run *run)
{
	int fd = socket(run->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&run->address, run->address_len) ||
	    listen(fd, 64))
		fail("can't listen: %s", strerror(errno));
	return fd;
}

static void server(struct run *run)
{
	int listener, epoll = epoll_create1(EPOLL_CLOEXEC);
	uint64_t bytes;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(run->control[0]);
	run->buf = buffer_map(run->read, run->huge);
	if (run->address.ss_family == AF_INET)
		enter_netns("server");
	listener = listen_at(run);
	tell(run->control[1], buffer_stretches(run->buf, run->read));
	for (unsigned int i = 0; i < run->repeats; i++) {
		bool verify = true;

		accept_all(run, listener, epoll);
		while ((bytes = await(run->control[1]))) {
			serve(run, epoll, bytes, verify);
			tell(run->control[1], 0);
			verify = false;
		}
		close_all(run);
	}
	exit(0);
}

/* ---- the client ------------------------------------------------------------------ */

static void connect_all(struct run *run)
{
	for (unsigned int i = 0; i < run->connections; i++) {
		int fd = socket(run->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&run->address, run->address_len))
			fail("can't connect: %s", strerror(errno));
		run->streams[i] = (struct stream){ .fd = fd, .id = i };
		if (send(fd, &i, sizeof(i), MSG_NOSIGNAL) != sizeof(i))
			fail("send: %s", strerror(errno));
		await(run->control[0]);
	}
}

static void send_message(struct run *run, struct stream *stream, bool verify)
{
	if (verify)
		pattern_fill(run->buf, run->size, stream->id, stream->place);
	for (size_t done = 0; done < run->size;) {
		ssize_t n = send(stream->fd, run->buf + done, run->size - done, MSG_NOSIGNAL);

		if (n < 0)
			fail("send: %s", strerror(errno));
		done += (size_t)n;
	}
	stream->place += run->size;
}

/* Returns when all have been read, with how long it took. */
static uint64_t transfer(struct run *run, uint64_t messages, bool verify)
{
	uint64_t begin = now();

	tell(run->control[0], messages * run->size);
	for (uint64_t i = 0; i < messages; i++)
		send_message(run, &run->streams[i % run->connections], verify);
	await(run->control[0]);
	return now() - begin;
}

/* What was put off is done, and counted, where it was caused. */
static void settle(void)
{
	usleep(SETTLE_US);
}

static void add_moved(struct run *run, struct moved *moved)
{
	for (unsigned int i = 0; i < run->connections; i++)
		moved_add_tcp(moved, &run->streams[i].fd, 1);
	moved_add_module(moved);
}

static void count_part(struct run *run)
{
	uint64_t turn = run->connections, few, warm, messages, ns, begin;
	struct moved before = { 0 };

	few = WARM_BYTES / run->size;
	few = few < 4 ? 4 : few > 2000 ? 2000 : few;
	warm = few > turn ? few : turn;
	connect_all(run);
	transfer(run, few / 4 > turn ? few / 4 : turn, true);
	ns = transfer(run, warm, false);
	messages = run->part_ns * warm / ns;
	messages = messages > turn ? messages / turn * turn : turn;
	settle();
	add_moved(run, &before);
	begin = counter_begin(run->counter);
	run->ns += transfer(run, messages, false);
	settle();
	run->instructions += counter_end(run->counter) - begin;
	run->bytes += messages * run->size;
	add_moved(run, &run->moved);
	run->moved.tcp -= before.tcp;
	run->moved.cpu -= before.cpu;
	run->moved.dma -= before.dma;
	tell(run->control[0], 0);
	close_all(run);
}

static void set_address(struct run *run, const char *text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&run->address;
	struct sockaddr_un *un = (struct sockaddr_un *)&run->address;

	if (!strcmp(text, "unix")) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path + 1, "streams"); /* abstract */
		run->address_len = offsetof(struct sockaddr_un, sun_path) + sizeof("streams");
		return;
	}
	in->sin_family = AF_INET;
	in->sin_port = htons(5000);
	run->address_len = sizeof(*in);
	if (inet_pton(AF_INET, text, &in->sin_addr) != 1)
		fail("%s is neither \"unix\" nor an IPv4 address", text);
}

int main(int argc, char **argv)
{
	struct run run = { 0 };
	uint64_t stretches;

	if (argc != 9)
		fail("usage: streams ADDRESS pages|huge blocking|epoll SIZE READ CONNECTIONS REPEATS MS");
	alarm(TIME_LIMIT);
	set_address(&run, argv[1]);
	run.huge = !strcmp(argv[2], "huge");
	run.epoll = !strcmp(argv[3], "epoll");
	run.size = strtoul(argv[4], NULL, 10);
	run.read = strtoul(argv[5], NULL, 10);
	run.connections = (unsigned int)strtoul(argv[6], NULL, 10);
	run.repeats = (unsigned int)strtoul(argv[7], NULL, 10);
	if (!run.size || !run.read || !run.connections || !run.repeats ||
	    (!run.epoll && run.connections > 1))
		fail("nothing to do, or more connections than one for a reader that blocks");
	run.part_ns = strtoul(argv[8], NULL, 10) * 1000000 / run.repeats;
	run.streams = calloc(run.connections, sizeof(*run.streams));
	run.counter = counter_open();
	if (run.counter < 0)
		fail("can't count instructions: %s", strerror(errno));
	allow_files(run.connections + 100);
	if (!run.streams || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, run.control))
		fail("%s", strerror(errno));
	if (!fork())
		server(&run);
	close(run.control[1]);
	stretches = await(run.control[0]);
	run.buf = buffer_map(run.size, run.huge);
	if (run.address.ss_family == AF_INET)
		enter_netns("client");
	for (unsigned int i = 0; i < run.repeats; i++)
		count_part(&run);
	reap(1);
	printf("%zu\t%zu\t%u\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%u\t%llu\n", run.size,
	       run.read, run.connections, argv[2], argv[3], (unsigned long long)run.bytes,
	       (unsigned long long)run.instructions, (unsigned long long)run.ns,
	       (unsigned long long)run.moved.tcp, (unsigned long long)run.moved.cpu,
	       (unsigned long long)run.moved.dma, buffer_stretches(run.buf, run.size),
	       (unsigned long long)stretches);
	return 0;
}
