/* SPDX-License-Identifier: GPL-2.0-only */
/* What the cases of hazards.c are written with: connections on the loopback,
 * bytes that are checked, threads that read, and time limits.
 */
#ifndef HAZARDS_H
#define HAZARDS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CHUNK (64UL << 10)

/* What goes on, for the message of a time limit. */
static const char *_Atomic step = "start";
static unsigned int limit;

static inline void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static inline void fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

static inline void event(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static inline void event(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("{\"event\": \"%s\"", name);
	if (fmt) {
		va_start(ap, fmt);
		vprintf(fmt, ap);
		va_end(ap);
	}
	printf("}\n");
	fflush(stdout);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void pause_us(unsigned int us)
{
	const struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

/* Wait until @holds, 5 s at most. */
static inline void wait_until(bool (*holds)(long arg), long arg, const char *what)
{
	double end = now() + 5;

	while (!holds(arg)) {
		if (now() > end)
			fail("%s: not within 5 s", what);
		pause_us(1000);
	}
}

static inline void wait_told(void)
{
	const struct timespec most = { .tv_sec = limit };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (sigtimedwait(&set, NULL, &most) != SIGUSR1) {
		if (errno != EINTR)
			fail("was not told to go on");
	}
}

static inline void *watch_time(void *unused)
{
	pause_us(limit * 1000000);
	fail("not done within %u s", limit);
}

static inline pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, run, arg);

	if (err)
		fail("pthread_create: %s", strerror(err));
	return thread;
}

/* ---- sockets -------------------------------------------------------------- */

static inline int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket: %s", strerror(errno));
	return fd;
}

/* The address of @fd, or of its peer. */
static inline struct sockaddr_in address(int fd, bool peer)
{
	struct sockaddr_in addr = {};
	socklen_t len = sizeof(addr);

	if ((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&addr, &len))
		fail("address of a socket: %s", strerror(errno));
	return addr;
}

static inline void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("setsockopt: %s", strerror(errno));
}

static inline int listen_on(int fd, int backlog)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, backlog))
		fail("bind and listen: %s", strerror(errno));
	return fd;
}

static inline void connect_to(int fd, int listener)
{
	struct sockaddr_in addr = address(listener, false);

	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) && errno != EINPROGRESS)
		fail("connect: %s", strerror(errno));
}

static inline int accept_from(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		fail("accept: %s", strerror(errno));
	return fd;
}

struct pair {
	int end[2]; /* client, server */
};

static inline struct pair connect_pair(void)
{
	int listener = listen_on(new_socket(), 8);
	struct pair pair;

	pair.end[0] = new_socket();
	connect_to(pair.end[0], listener);
	pair.end[1] = accept_from(listener);
	close(listener);
	return pair;
}

static inline void close_pair(const struct pair *pair)
{
	close(pair->end[0]);
	close(pair->end[1]);
}

/* ---- bytes ---------------------------------------------------------------- */

/* Of the stream named @stream. */
static inline void fill(unsigned char *buf, size_t len, uint32_t stream, uint64_t offset)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++, offset++) {
		if (!i || !(offset & 7)) {
			word = ((stream + 1) * 0xd1342543de82ef95ULL ^ offset >> 3) *
			       0x9e3779b97f4a7c15ULL;
			word ^= word >> 32;
		}
		buf[i] = word >> 8 * (offset & 7);
	}
}

static inline void put(int fd, uint32_t stream, uint64_t offset, size_t len)
{
	unsigned char buf[CHUNK];

	while (len) {
		size_t want = len < sizeof(buf) ? len : sizeof(buf);
		ssize_t n;

		fill(buf, want, stream, offset);
		n = send(fd, buf, want, MSG_NOSIGNAL);
		if (n < 0)
			fail("send at offset %lu: %s", (unsigned long)offset, strerror(errno));
		offset += n;
		len -= n;
	}
}

static inline void check_bytes(const unsigned char *buf, size_t len, uint32_t stream,
			       uint64_t offset)
{
	unsigned char right[CHUNK];

	fill(right, len, stream, offset);
	if (memcmp(buf, right, len))
		fail("stream %u: wrong bytes at offset %lu, in a read of %zu", stream,
		     (unsigned long)offset, len);
}

/* One recv() and its bytes. A blocking one may give EAGAIN on a redirected
 * socket, a defect of the kernel; see README.md.
 */
static inline ssize_t receive(int fd, uint32_t stream, uint64_t offset, size_t len, int flags)
{
	unsigned char buf[CHUNK];
	ssize_t n;

	do
		n = recv(fd, buf, len < sizeof(buf) ? len : sizeof(buf), flags);
	while (n < 0 && errno == EAGAIN && !(flags & MSG_DONTWAIT));
	if (n > 0)
		check_bytes(buf, n, stream, offset);
	return n;
}

static inline void take(int fd, uint32_t stream, uint64_t offset, size_t len)
{
	while (len) {
		ssize_t n = receive(fd, stream, offset, len, 0);

		if (n <= 0)
			fail("stream %u: %s at offset %lu, %zu bytes before the end", stream,
			     n ? strerror(errno) : "end of file", (unsigned long)offset, len);
		offset += n;
		len -= n;
	}
}

static inline void take_end(int fd, uint32_t stream, uint64_t offset)
{
	ssize_t n = receive(fd, stream, offset, 1, 0);

	if (n)
		fail("stream %u: %s instead of the end of file", stream,
		     n < 0 ? strerror(errno) : "a byte");
}

/* Both ends have talked: no candidate any more. */
static inline void greet(const struct pair *pair, uint32_t stream)
{
	for (int side = 0; side < 2; side++) {
		put(pair->end[side], stream + side, 0, 1);
		take(pair->end[!side], stream + side, 0, 1);
	}
}

/* ---- what the kernel is doing --------------------------------------------- */

static inline int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		fail("TCP_INFO: %s", strerror(errno));
	return info.tcpi_state;
}

static inline bool is_closed(long fd)
{
	return tcp_state(fd) == TCP_CLOSE;
}

static inline bool has_ended(long fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLRDHUP };

	return poll(&poller, 1, 0) == 1;
}

/* The thread is asleep. */
static inline bool is_asleep(long tid)
{
	char path[64], text[256] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] == 'S';
}

/* A thread that reads what is described here. */
struct reader {
	int fd;
	uint32_t stream;
	uint64_t offset;
	size_t len;
	int flags;
	bool polls; /* asleep in poll(), not in recv() */
	unsigned int delay; /* us, before it reads */
	_Atomic pid_t tid; /* once nothing but its call can put it to sleep */
	atomic_bool done;
	pthread_t thread;
};

static inline void *read_all(void *arg)
{
	struct reader *reader = arg;

	if (reader->delay)
		pause_us(reader->delay);
	reader->tid = syscall(SYS_gettid);
	while (reader->len) {
		struct pollfd poller = { .fd = reader->fd, .events = POLLIN };
		ssize_t n;

		if (reader->polls)
			poll(&poller, 1, -1);
		n = receive(reader->fd, reader->stream, reader->offset, reader->len,
			    reader->polls ? MSG_DONTWAIT : reader->flags);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			fail("stream %u: %s at offset %lu", reader->stream,
			     n ? strerror(errno) : "end of file", (unsigned long)reader->offset);
		reader->offset += n;
		reader->len -= n;
	}
	reader->done = true;
	return NULL;
}

static inline bool reader_sleeps(long arg)
{
	struct reader *reader = (struct reader *)arg;

	return reader->tid && is_asleep(reader->tid);
}

static inline bool reader_is_done(long arg)
{
	return ((struct reader *)arg)->done;
}

#endif /* HAZARDS_H */
