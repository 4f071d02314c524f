/* SPDX-License-Identifier: GPL-2.0-only */
/* What each self-test does on its pair; see pd_defects[] for what it means. */
#include "defect_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARRIVE_MS 1000 /* bytes over loopback, a thread going to sleep */
#define ABSENT_MS 100 /* how long to watch for what should not happen */

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool ready(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) == 1 && (pfd.revents & events);
}

/* Send @text from the client; false after pd_trial__untested(). */
static bool give(struct pd_trial *t, const char *text)
{
	ssize_t len = strlen(text);

	if (send(t->pair.client, text, len, MSG_NOSIGNAL) == len)
		return true;
	pd_trial__untested(t, "send() failed: %s", strerror(errno));
	return false;
}

/* Wait until the server has @len bytes to read, however they came. */
static bool arrived(struct pd_trial *t, size_t len)
{
	long end = now_ms() + ARRIVE_MS;
	char buf[64];

	while (recv(t->pair.server, buf, len, MSG_PEEK | MSG_DONTWAIT) < (ssize_t)len) {
		if (now_ms() >= end) {
			pd_trial__untested(t, "%zu bytes did not arrive in %d ms", len, ARRIVE_MS);
			return false;
		}
		ready(t->pair.server, POLLIN, 1);
	}
	return true;
}

static bool enrol_if_asked(struct pd_trial *t)
{
	int err = t->enrolled ? pd_scratch__enrol(&t->pair) : 0;

	if (err)
		pd_trial__untested(t, "can't enrol the pair: %s", strerror(-err));
	return !err;
}

static bool set(struct pd_trial *t, int level, int option, int value, const char *name)
{
	if (!setsockopt(t->pair.server, level, option, &value, sizeof(value)))
		return true;
	pd_trial__untested(t, "this kernel has no %s on TCP: %s", name, strerror(errno));
	return false;
}

/* ---- a reader in a thread of its own ---- */

struct reader {
	pthread_t thread;
	int fd;
	size_t len;
	int flags;
	atomic_int tid;
	int done; /* eventfd */
	ssize_t got;
	int error;
	char buf[16];
};

static void *read_once(void *arg)
{
	struct reader *r = arg;

	atomic_store(&r->tid, (int)syscall(SYS_gettid));
	r->got = recv(r->fd, r->buf, r->len, r->flags);
	r->error = errno;
	eventfd_write(r->done, 1);
	return NULL;
}

static bool is_asleep(const struct reader *r)
{
	char path[64], text[32] = "";
	int tid = atomic_load(&r->tid);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = tid ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return atoi(text) == SYS_recvfrom && text[0] != 'r';
}

static bool wait_asleep(struct pd_trial *t, const struct reader *r)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	long end = now_ms() + ARRIVE_MS;

	while (!is_asleep(r)) {
		if (now_ms() >= end) {
			pd_trial__untested(t, "a reader did not go to sleep in %d ms", ARRIVE_MS);
			return false;
		}
		nanosleep(&ms, NULL);
	}
	return true;
}

/* Start a reader of @len bytes and wait until it sleeps in recv(). */
static bool start_reader(struct pd_trial *t, struct reader *r, size_t len, int flags)
{
	*r = (struct reader){ .fd = t->pair.server, .len = len, .flags = flags };
	r->done = eventfd(0, EFD_CLOEXEC);
	if (r->done < 0 || pthread_create(&r->thread, NULL, read_once, r)) {
		pd_trial__untested(t, "can't start a thread");
		return false;
	}
	return wait_asleep(t, r);
}

static bool is_done(const struct reader *r, int ms)
{
	return ready(r->done, POLLIN, ms);
}

/* ---- the tests ---- */

void pd_test_splice(struct pd_trial *t)
{
	int fds[2];
	ssize_t n;

	if (pipe(fds)) {
		pd_trial__untested(t, "can't make a pipe: %s", strerror(errno));
		return;
	}
	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	n = splice(t->pair.server, NULL, fds[1], NULL, 10, 0);
	if (n == 10)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "splice() of 10 bytes returned %zd", n);
}

void pd_test_fionread(struct pd_trial *t)
{
	int unread = -1;

	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	if (ioctl(t->pair.server, FIONREAD, &unread))
		pd_trial__defect(t, "FIONREAD fails: %s", strerror(errno));
	else if (unread != 10)
		pd_trial__defect(t, "FIONREAD says %d with 10 bytes to read", unread);
	else
		pd_trial__as_tcp(t);
}

void pd_test_order(struct pd_trial *t)
{
	char buf[3] = "";
	int len = 0;

	if (!give(t, "A") || !arrived(t, 1) || !enrol_if_asked(t) || !give(t, "B"))
		return;
	while (len < 2 && ready(t->pair.server, POLLIN, ARRIVE_MS)) {
		ssize_t n = recv(t->pair.server, buf + len, 2 - len, MSG_DONTWAIT);

		if (n <= 0)
			break;
		len += n;
	}
	if (!strcmp(buf, "AB"))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "sent \"A\" over TCP, then \"B\" redirected; read \"%s\"", buf);
}

void pd_test_charge(struct pd_trial *t)
{
	__u32 mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(mem);

	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	if (getsockopt(t->pair.server, SOL_SOCKET, SO_MEMINFO, mem, &len))
		pd_trial__untested(t, "this kernel has no SO_MEMINFO: %s", strerror(errno));
	else if (mem[SK_MEMINFO_RMEM_ALLOC] < 10)
		pd_trial__defect(t, "10 unread bytes, %u charged", mem[SK_MEMINFO_RMEM_ALLOC]);
	else
		pd_trial__as_tcp(t);
}

void pd_test_rcvlowat(struct pd_trial *t)
{
	if (!set(t, SOL_SOCKET, SO_RCVLOWAT, 20, "SO_RCVLOWAT") || !give(t, "0123456789") ||
	    !arrived(t, 10))
		return;
	if (ready(t->pair.server, POLLIN, 0)) {
		pd_trial__defect(t, "SO_RCVLOWAT 20: readable with 10 bytes");
		return;
	}
	if (!give(t, "0123456789"))
		return;
	if (ready(t->pair.server, POLLIN, ARRIVE_MS))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "SO_RCVLOWAT 20: not readable with 20 bytes");
}

void pd_test_reset(struct pd_trial *t)
{
	char byte;
	ssize_t n;

	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	close(t->pair.server);
	t->pair.server = -1;
	if (!ready(t->pair.client, POLLIN, ARRIVE_MS)) {
		pd_trial__defect(t, "close() with unread data is not seen by the peer");
		return;
	}
	n = recv(t->pair.client, &byte, 1, MSG_DONTWAIT);
	if (n < 0 && errno == ECONNRESET)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "close() with unread data: the peer sees %s, not a reset",
				 n == 0 ? "an orderly end" : "neither end nor reset");
}

void pd_test_backpressure(struct pd_trial *t)
{
	const size_t limit = 8 << 20;
	static char block[65536];
	size_t total = 0;
	int size = 65536;

	setsockopt(t->pair.client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (!set(t, SOL_SOCKET, SO_RCVBUF, size, "SO_RCVBUF"))
		return;
	while (total < limit) {
		ssize_t n = send(t->pair.client, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			pd_trial__untested(t, "send() failed: %s", strerror(errno));
			return;
		}
		total += n;
	}
	if (total < limit)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "%zu MiB queued on a reader with a buffer of 64 KiB",
				 total >> 20);
}

void pd_test_shutdown(struct pd_trial *t)
{
	if (shutdown(t->pair.client, SHUT_WR)) {
		pd_trial__untested(t, "shutdown() failed: %s", strerror(errno));
		return;
	}
	if (send(t->pair.client, "x", 1, MSG_NOSIGNAL) >= 0)
		pd_trial__defect(t, "send() after shutdown(SHUT_WR) succeeds");
	else if (errno == EPIPE)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "send() after shutdown(SHUT_WR): %s", strerror(errno));
}

void pd_test_two_readers(struct pd_trial *t)
{
	struct reader *first, *second, r[2];

	if (!start_reader(t, &r[0], 1, 0) || !start_reader(t, &r[1], 1, 0) || !give(t, "a"))
		return;
	if (!ready(r[0].done, POLLIN, 0) && !ready(r[1].done, POLLIN, ARRIVE_MS) &&
	    !ready(r[0].done, POLLIN, 0)) {
		pd_trial__defect(t, "two readers, one byte: neither got it");
		return;
	}
	first = is_done(&r[0], 0) ? &r[0] : &r[1];
	second = first == &r[0] ? &r[1] : &r[0];
	if (is_done(second, ABSENT_MS)) {
		pd_trial__defect(t, "two readers, one byte: a blocking recv() returned %s",
				 strerror(first->got < 0 ? first->error : second->error));
		return;
	}
	if (!give(t, "b"))
		return;
	if (is_done(second, ARRIVE_MS) && second->got == 1)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "two readers, two bytes: one reader got nothing");
}

/* A reader that sleeps while its own side says that it will send no more: the
 * kernel wakes it for that, and for the acknowledgement of its FIN.
 */
void pd_test_half_close(struct pd_trial *t)
{
	struct reader r;

	if (!start_reader(t, &r, 1, 0) || !wait_asleep(t, &r))
		return;
	if (shutdown(t->pair.server, SHUT_WR)) {
		pd_trial__untested(t, "shutdown: %s", strerror(errno));
		return;
	}
	if (is_done(&r, ABSENT_MS)) {
		pd_trial__defect(t, "a blocking recv() returned %s after shutdown(SHUT_WR)",
				 r.got < 0 ? strerror(r.error) : "without data");
		return;
	}
	if (!give(t, "a"))
		return;
	if (is_done(&r, ARRIVE_MS) && r.got == 1)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "after shutdown(SHUT_WR) a blocking recv() got nothing");
}

/* What a reader that entered tcp_recvmsg() before enrolment sees. */
void pd_test_waiting_reader(struct pd_trial *t)
{
	long end = now_ms() + ARRIVE_MS;
	struct reader r;
	int unread;

	if (!start_reader(t, &r, 2, MSG_WAITALL) || !give(t, "a"))
		return;
	do {
		unread = -1;
		ioctl(t->pair.server, FIONREAD, &unread);
	} while (unread && now_ms() < end);
	if (!wait_asleep(t, &r) || !enrol_if_asked(t) || !give(t, "b"))
		return;
	if (is_done(&r, ARRIVE_MS / 2) && r.got == 2)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t,
				 "a reader that waited inside TCP does not see what is redirected");
}

void pd_test_oob(struct pd_trial *t)
{
	char byte = 0;

	if (send(t->pair.client, "!", 1, MSG_OOB | MSG_NOSIGNAL) != 1) {
		pd_trial__defect(t, "send(MSG_OOB): %s", strerror(errno));
		return;
	}
	if (ready(t->pair.server, POLLPRI, 2 * ABSENT_MS) &&
	    recv(t->pair.server, &byte, 1, MSG_OOB) == 1 && byte == '!')
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "urgent data is not seen as such by the reader");
}

/* Receive @len bytes and look for a control message that comes with them. */
static bool has_control(int fd, size_t len, int level, int type, int *value)
{
	char control[256], buf[64];
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(fd, &msg, MSG_DONTWAIT) < 0)
		return false;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == level && c->cmsg_type == type) {
			memcpy(value, CMSG_DATA(c), sizeof(*value));
			return true;
		}
	}
	return false;
}

void pd_test_inq(struct pd_trial *t)
{
	int left = -1;

	if (!set(t, IPPROTO_TCP, TCP_INQ, 1, "TCP_INQ") || !give(t, "0123456789") ||
	    !arrived(t, 10))
		return;
	if (!has_control(t->pair.server, 4, IPPROTO_TCP, TCP_CM_INQ, &left))
		pd_trial__defect(t, "TCP_INQ: no count with the data");
	else if (left != 6)
		pd_trial__defect(t, "TCP_INQ says %d with 6 bytes left", left);
	else
		pd_trial__as_tcp(t);
}

void pd_test_peek_off(struct pd_trial *t)
{
	char buf[3] = "";

	if (!set(t, SOL_SOCKET, SO_PEEK_OFF, 0, "SO_PEEK_OFF") || !give(t, "abcd") ||
	    !arrived(t, 4) || !set(t, SOL_SOCKET, SO_PEEK_OFF, 2, "SO_PEEK_OFF"))
		return;
	if (recv(t->pair.server, buf, 2, MSG_PEEK | MSG_DONTWAIT) == 2 && !strcmp(buf, "cd"))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "SO_PEEK_OFF 2: peeked \"%s\" of \"abcd\"", buf);
}

/* The kernel starts to stamp packets some time after the first socket asks
 * for it: a plain pair tells when. The pair under test has asked already, so
 * it stays so.
 */
static bool stamping(struct pd_trial *t)
{
	long end = now_ms() + ARRIVE_MS;
	struct pd_trial plain = { 0 };
	bool stamped = false;
	int ignored;

	if (pd_scratch__open(&plain.pair, false) ||
	    !set(&plain, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS")) {
		pd_trial__untested(t, "can't make a second pair of sockets");
		return false;
	}
	while (!stamped && now_ms() < end) {
		if (!give(&plain, "x") || !ready(plain.pair.server, POLLIN, ARRIVE_MS))
			break;
		stamped = has_control(plain.pair.server, 1, SOL_SOCKET, SO_TIMESTAMPNS, &ignored);
	}
	pd_scratch__close(&plain.pair);
	if (!stamped)
		pd_trial__untested(t, "this kernel stamps no packet on loopback");
	return stamped;
}

void pd_test_timestamps(struct pd_trial *t)
{
	int ignored;

	if (!set(t, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS") || !stamping(t) ||
	    !give(t, "x") || !arrived(t, 1))
		return;
	if (has_control(t->pair.server, 1, SOL_SOCKET, SO_TIMESTAMPNS, &ignored))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "SO_TIMESTAMPNS: no time with the data");
}

void pd_test_trunc(struct pd_trial *t)
{
	ssize_t n;

	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	n = recv(t->pair.server, NULL, 10, MSG_TRUNC | MSG_DONTWAIT);
	if (n == 10)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "recv(MSG_TRUNC) of 10 bytes: %s",
				 n < 0 ? strerror(errno) : "short");
}

void pd_test_zerocopy_receive(struct pd_trial *t)
{
	struct tcp_zerocopy_receive zc = { 0 };
	socklen_t len = sizeof(zc);
	long page = sysconf(_SC_PAGESIZE);
	void *map;

	map = mmap(NULL, page, PROT_READ, MAP_SHARED, t->pair.server, 0);
	if (map == MAP_FAILED) {
		pd_trial__untested(t, "this kernel can't map a TCP socket: %s", strerror(errno));
		return;
	}
	if (!give(t, "0123456789") || !arrived(t, 10))
		return;
	zc.address = (uintptr_t)map;
	zc.length = page;
	if (getsockopt(t->pair.server, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len))
		pd_trial__defect(t, "TCP_ZEROCOPY_RECEIVE: %s", strerror(errno));
	else if (zc.length + zc.recv_skip_hint != 10)
		pd_trial__defect(t, "TCP_ZEROCOPY_RECEIVE says %u with 10 bytes to read",
				 zc.length + zc.recv_skip_hint);
	else
		pd_trial__as_tcp(t);
}

void pd_test_msg_more(struct pd_trial *t)
{
	if (send(t->pair.client, "a", 1, MSG_MORE | MSG_NOSIGNAL) != 1) {
		pd_trial__untested(t, "send(MSG_MORE) failed: %s", strerror(errno));
		return;
	}
	if (ready(t->pair.server, POLLIN, ABSENT_MS / 4))
		pd_trial__defect(t, "a message with MSG_MORE is sent at once");
	else if (give(t, "b") && arrived(t, 2))
		pd_trial__as_tcp(t);
}

void pd_test_waitall(struct pd_trial *t)
{
	struct reader r;

	if (!start_reader(t, &r, 10, MSG_WAITALL) || !give(t, "01234"))
		return;
	if (is_done(&r, ABSENT_MS)) {
		pd_trial__defect(t, "recv(MSG_WAITALL) of 10 bytes returned %zd", r.got);
		return;
	}
	if (!give(t, "56789"))
		return;
	if (is_done(&r, ARRIVE_MS) && r.got == 10)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "recv(MSG_WAITALL) of 10 bytes does not return them");
}
