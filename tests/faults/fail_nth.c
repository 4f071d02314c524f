// SPDX-License-Identifier: GPL-2.0-only
/* Socket calls in which the n-th allocation of memory fails, for n = 1, 2, ... until
 * a call gets by with fewer.
 *
 *     fail_nth [CALL]
 *
 * The call may do what it does otherwise, or fail as TCP does for want of memory; in
 * either case every byte that was taken arrives in order, and the connection goes on.
 * Prints one JSON line for each call. Needs a kernel with CONFIG_FAULT_INJECTION, and
 * the filters of failslab and fail_page_alloc opened. The kernel counts what the task itself
 * allocates: not what a softirq does meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pattern.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MOST 1000 /* allocations of one call */
#define BUFFER (64UL << 10)
#define WAIT_MS 20000

enum { CLIENT, SERVER };

struct pair {
	int end[2];
	uint64_t key[2], sent[2], received[2]; /* by this end */
	int pipe[2], file;
};

struct call {
	const char *name;
	void (*prepare)(struct pair *pair);
	/* Returns what the call returned, or -errno. */
	long (*run)(struct pair *pair);
	long least; /* what it returns at least, unless it fails */
	bool connects; /* run makes the pair */
};

static const struct call *running;
static unsigned int nth;
static int fail_fd, listener;
static unsigned char buf[BUFFER];

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s, allocation %u: ", running ? running->name : "start", nth);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (errno: %s)\n", strerror(errno));
	exit(1);
}

#define must(condition)                                    \
	do {                                               \
		if (!(condition))                          \
			wrong("not true: %s", #condition); \
	} while (0)

/* ---- the injection ---------------------------------------------------------------- */

static void fail_from_here(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	must(write(fail_fd, text, len) == len);
}

/* True if an allocation failed. */
static bool fail_no_more(void)
{
	int error = errno;
	char text[16] = "";

	must(pread(fail_fd, text, sizeof(text) - 1, 0) > 0);
	fail_from_here(0);
	errno = error;
	return !atoi(text);
}

/* Blocks that the module keeps for a while would be taken without an allocation. */
static void drop_kept_blocks(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, "2", 1) == 1);
	close(fd);
}

/* ---- bytes -------------------------------------------------------------------------- */

static const unsigned char *next_bytes(struct pair *pair, int side, size_t len)
{
	must(len <= BUFFER);
	pattern_fill(pair->key[side], pair->sent[side], buf, len);
	return buf;
}

static void check_bytes(struct pair *pair, int side, const unsigned char *bytes, size_t len)
{
	size_t right = pattern_check(pair->key[!side], pair->received[side], bytes, len);

	if (right < len)
		wrong("byte %lu is wrong", (unsigned long)(pair->received[side] + right));
	pair->received[side] += len;
}

static long send_bytes(struct pair *pair, int side, size_t len)
{
	ssize_t n = send(pair->end[side], next_bytes(pair, side, len), len, MSG_NOSIGNAL);

	if (n < 0)
		return -errno;
	pair->sent[side] += n;
	return n;
}

static void take_all(struct pair *pair, int side)
{
	struct pollfd poller = { .fd = pair->end[side], .events = POLLIN };
	static unsigned char in[BUFFER];

	while (pair->received[side] < pair->sent[!side]) {
		ssize_t n = 0;

		if (poll(&poller, 1, WAIT_MS) == 1)
			n = recv(pair->end[side], in, sizeof(in), MSG_DONTWAIT);
		if (n <= 0)
			wrong("%lu bytes of %lu arrived, then recv() said %zd",
			      (unsigned long)pair->received[side], (unsigned long)pair->sent[!side],
			      n);
		check_bytes(pair, side, in, n);
	}
	must(recv(pair->end[side], in, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

/* What was sent is there, and the connection goes on in both directions. */
static void goes_on(struct pair *pair)
{
	for (int i = 0; i < 3; i++) {
		for (int side = 0; side < 2; side++)
			must(send_bytes(pair, side, i ? 3000 : 100) > 0);
		for (int side = 0; side < 2; side++)
			take_all(pair, side);
	}
}

/* ---- connections ---------------------------------------------------------------------- */

static void listen_anew(void)
{
	const struct timeval wait = { WAIT_MS / 1000, 0 };
	struct sockaddr_in addr = { .sin_family = AF_INET };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(listener >= 0);
	must(!bind(listener, (struct sockaddr *)&addr, sizeof(addr)) && !listen(listener, 8));
	must(!setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)));
}

static long run_connect(struct pair *pair)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	getsockname(listener, (struct sockaddr *)&addr, &len);
	pair->end[CLIENT] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (pair->end[CLIENT] < 0)
		return -errno;
	if (connect(pair->end[CLIENT], (struct sockaddr *)&addr, sizeof(addr)))
		return -errno;
	pair->end[SERVER] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return pair->end[SERVER] < 0 ? -errno : 0;
}

static void poll_both(struct pair *pair, int *events)
{
	struct pollfd ends[] = { { pair->end[CLIENT], POLLIN | POLLOUT, 0 },
				 { pair->end[SERVER], POLLIN | POLLOUT, 0 } };

	*events = poll(ends, ARRAY_SIZE(ends), 0);
}

static void name_bytes(struct pair *pair)
{
	static unsigned int id;

	id++;
	for (int side = 0; side < 2; side++)
		pair->key[side] = pattern_key(1, 0, id, side);
}

static void close_pair(struct pair *pair)
{
	for (int i = 0; i < 2; i++)
		if (pair->end[i] >= 0)
			close(pair->end[i]);
}

/* ---- calls ------------------------------------------------------------------------------ */

static void prepare_nothing(struct pair *pair)
{
}

static void prepare_send(struct pair *pair)
{
	int events;

	poll_both(pair, &events);
	drop_kept_blocks();
}

/* Bytes that came over TCP, and bytes that came after the reader first called recv(). */
static void prepare_recv(struct pair *pair)
{
	must(send_bytes(pair, CLIENT, 2000) == 2000);
	must(recv(pair->end[SERVER], buf, 100, MSG_WAITALL) == 100);
	check_bytes(pair, SERVER, buf, 100);
	for (int i = 0; i < 4; i++)
		must(send_bytes(pair, CLIENT, 3000) == 3000);
}

static void prepare_splice(struct pair *pair)
{
	prepare_recv(pair);
	must(!pipe2(pair->pipe, O_CLOEXEC));
}

static void prepare_sendfile(struct pair *pair)
{
	prepare_send(pair);
	pair->file = memfd_create("bytes", MFD_CLOEXEC);
	must(pair->file >= 0);
	must(write(pair->file, next_bytes(pair, CLIENT, 20000), 20000) == 20000);
	must(!lseek(pair->file, 0, SEEK_SET));
}

static long run_send(struct pair *pair)
{
	return send_bytes(pair, CLIENT, 1000);
}

static long run_send_large(struct pair *pair)
{
	return send_bytes(pair, SERVER, 40000);
}

static long run_writev(struct pair *pair)
{
	unsigned char *bytes = (unsigned char *)next_bytes(pair, CLIENT, 9000);
	struct iovec iov[] = { { bytes, 10 }, { bytes + 10, 4990 }, { bytes + 5000, 4000 } };
	ssize_t n = writev(pair->end[CLIENT], iov, ARRAY_SIZE(iov));

	if (n < 0)
		return -errno;
	pair->sent[CLIENT] += n;
	return n;
}

static long run_sendfile(struct pair *pair)
{
	ssize_t n = sendfile(pair->end[CLIENT], pair->file, NULL, 20000);

	if (n < 0)
		return -errno;
	pair->sent[CLIENT] += n;
	return n;
}

static long run_recv(struct pair *pair)
{
	ssize_t n = recv(pair->end[SERVER], buf, 9000, 0);

	if (n < 0)
		return -errno;
	check_bytes(pair, SERVER, buf, n);
	return n;
}

static long run_peek(struct pair *pair)
{
	ssize_t n = recv(pair->end[SERVER], buf, 9000, MSG_PEEK);

	if (n < 0)
		return -errno;
	check_bytes(pair, SERVER, buf, n);
	pair->received[SERVER] -= n;
	return n;
}

static long run_splice(struct pair *pair)
{
	return splice(pair->end[SERVER], NULL, pair->pipe[1], NULL, 9000, 0) < 0 ? -errno : 0;
}

/* What has gone into the pipe, which is told by nothing if splice() failed. */
static void take_pipe(struct pair *pair)
{
	ssize_t n;

	must(!fcntl(pair->pipe[0], F_SETFL, O_NONBLOCK));
	while ((n = read(pair->pipe[0], buf, BUFFER)) > 0)
		check_bytes(pair, SERVER, buf, n);
	close(pair->pipe[0]);
	close(pair->pipe[1]);
}

static long run_poll(struct pair *pair)
{
	int events;

	poll_both(pair, &events);
	return events < 0 ? -errno : events;
}

static long run_epoll(struct pair *pair)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC), n;
	long result = 0;

	if (fd < 0)
		return -errno;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, pair->end[SERVER], &event))
		result = -errno;
	n = epoll_wait(fd, &event, 1, 0);
	if (!result)
		result = n < 0 ? -errno : n;
	close(fd);
	return result;
}

static const struct call calls[] = {
	{ "connect and accept", prepare_nothing, run_connect, 0, true },
	{ "send", prepare_send, run_send, 1, false },
	{ "send, many pages", prepare_send, run_send_large, 1, false },
	{ "writev", prepare_send, run_writev, 1, false },
	{ "sendfile", prepare_sendfile, run_sendfile, 1, false },
	{ "recv", prepare_recv, run_recv, 1, false },
	{ "recv, MSG_PEEK", prepare_recv, run_peek, 1, false },
	{ "splice", prepare_splice, run_splice, 0, false },
	{ "poll", prepare_recv, run_poll, 2, false },
	{ "epoll", prepare_recv, run_epoll, 1, false },
};

/* ---- the sweep ---------------------------------------------------------------------------- */

/* What TCP's calls say when there is no memory. ENFILE is accept()'s. */
static bool is_for_want_of_memory(long result)
{
	return result == -ENOMEM || result == -ENOBUFS || result == -ENFILE;
}

/* One call. True if one of its allocations failed. */
static bool attempt(const struct call *call, unsigned int n, unsigned int *failed)
{
	struct pair pair = { .end = { -1, -1 }, .pipe = { -1, -1 }, .file = -1 };
	bool fired;
	long result;

	listen_anew();
	name_bytes(&pair);
	if (!call->connects)
		must(!run_connect(&pair));
	call->prepare(&pair);
	fail_from_here(n);
	result = call->run(&pair);
	fired = fail_no_more();
	if (result < call->least && (!fired || !is_for_want_of_memory(result)))
		wrong("returned %ld", result);
	*failed += result < call->least;
	if (call->run == run_splice)
		take_pipe(&pair);
	if (pair.file >= 0)
		close(pair.file);
	if (call->connects && result < 0) {
		/* Anew, after a connection that nobody may have accepted. */
		close_pair(&pair);
		close(listener);
		listen_anew();
		must(!run_connect(&pair));
	}
	for (int side = 0; side < 2; side++)
		take_all(&pair, side);
	goes_on(&pair);
	close_pair(&pair);
	close(listener);
	return fired;
}

static void sweep(const struct call *call)
{
	unsigned int failed = 0;

	running = call;
	for (nth = 1; attempt(call, nth, &failed); nth++)
		must(nth < MOST);
	printf("{\"event\": \"swept\", \"call\": \"%s\", \"allocations\": %u, \"failed\": %u}\n",
	       call->name, nth - 1, failed);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	must(fail_fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (argc < 2 || !strcmp(argv[1], calls[i].name))
			sweep(&calls[i]);
	return 0;
}
