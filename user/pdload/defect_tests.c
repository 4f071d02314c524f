/* SPDX-License-Identifier: GPL-2.0-only */
/* What each self-test does on its pair; see pd_defects[] for what it means. */
#include "defect_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trial_steps.h"

void pd_test_splice(struct pd_trial *t)
{
	int fds[2];
	ssize_t n;

	if (pipe(fds)) {
		pd_trial__untested(t, "can't make a pipe: %s", strerror(errno));
		return;
	}
	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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

	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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

	if (!pd_trial__give(t, "A") || !pd_trial__arrived(t, 1) || !pd_trial__enrol_if_asked(t) ||
	    !pd_trial__give(t, "B"))
		return;
	while (len < 2 && pd_trial__ready(t->pair.server, POLLIN, PD_ARRIVE_MS)) {
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

	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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
	if (!pd_trial__set(t, SOL_SOCKET, SO_RCVLOWAT, 20, "SO_RCVLOWAT") ||
	    !pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
		return;
	if (pd_trial__ready(t->pair.server, POLLIN, 0)) {
		pd_trial__defect(t, "SO_RCVLOWAT 20: readable with 10 bytes");
		return;
	}
	if (!pd_trial__give(t, "0123456789"))
		return;
	if (pd_trial__ready(t->pair.server, POLLIN, PD_ARRIVE_MS))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "SO_RCVLOWAT 20: not readable with 20 bytes");
}

void pd_test_reset(struct pd_trial *t)
{
	char byte;
	ssize_t n;

	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
		return;
	close(t->pair.server);
	t->pair.server = -1;
	if (!pd_trial__ready(t->pair.client, POLLIN, PD_ARRIVE_MS)) {
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
	const ssize_t limit = 8 << 20;
	int size = 65536;
	ssize_t total;

	setsockopt(t->pair.client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (!pd_trial__set(t, SOL_SOCKET, SO_RCVBUF, size, "SO_RCVBUF"))
		return;
	total = pd_trial__fill(t, limit);
	if (total >= limit)
		pd_trial__defect(t, "%zd MiB queued on a reader with a buffer of 64 KiB",
				 total >> 20);
	else if (total >= 0)
		pd_trial__as_tcp(t);
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
	struct pd_call *first, *second, r[2];
	struct pollfd either[2];

	if (!pd_call__recv(t, &r[0], 1, 0) || !pd_call__recv(t, &r[1], 1, 0) ||
	    !pd_trial__give(t, "a"))
		return;
	either[0] = (struct pollfd){ .fd = r[0].done, .events = POLLIN };
	either[1] = (struct pollfd){ .fd = r[1].done, .events = POLLIN };
	if (poll(either, 2, PD_ARRIVE_MS) <= 0) {
		pd_trial__defect(t, "two readers, one byte: neither got it");
		return;
	}
	first = pd_call__is_done(&r[0], 0) ? &r[0] : &r[1];
	second = first == &r[0] ? &r[1] : &r[0];
	if (pd_call__is_done(second, PD_ABSENT_MS)) {
		pd_trial__defect(t, "two readers, one byte: a blocking recv() returned %s",
				 strerror(first->got < 0 ? first->error : second->error));
		return;
	}
	if (!pd_trial__give(t, "b"))
		return;
	if (pd_call__is_done(second, PD_ARRIVE_MS) && second->got == 1)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "two readers, two bytes: one reader got nothing");
}

/* A reader that sleeps while its own side says that it will send no more: the
 * kernel wakes it for that, and for the acknowledgement of its FIN.
 */
void pd_test_half_close(struct pd_trial *t)
{
	struct pd_call r;

	if (!pd_call__recv(t, &r, 1, 0) || !pd_call__wait_asleep(t, &r))
		return;
	if (shutdown(t->pair.server, SHUT_WR)) {
		pd_trial__untested(t, "shutdown: %s", strerror(errno));
		return;
	}
	if (pd_call__is_done(&r, PD_ABSENT_MS)) {
		pd_trial__defect(t, "a blocking recv() returned %s after shutdown(SHUT_WR)",
				 r.got < 0 ? strerror(r.error) : "without data");
		return;
	}
	if (!pd_trial__give(t, "a"))
		return;
	if (pd_call__is_done(&r, PD_ARRIVE_MS) && r.got == 1)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "after shutdown(SHUT_WR) a blocking recv() got nothing");
}

/* What a reader that entered tcp_recvmsg() before enrolment sees. */
void pd_test_waiting_reader(struct pd_trial *t)
{
	long end = pd_trial__now_ms() + PD_ARRIVE_MS;
	struct pd_call r;
	int unread;

	if (!pd_call__recv(t, &r, 2, MSG_WAITALL) || !pd_trial__give(t, "a"))
		return;
	do {
		unread = -1;
		ioctl(t->pair.server, FIONREAD, &unread);
	} while (unread && pd_trial__now_ms() < end);
	if (!pd_call__wait_asleep(t, &r) || !pd_trial__enrol_if_asked(t) || !pd_trial__give(t, "b"))
		return;
	if (pd_call__is_done(&r, PD_ARRIVE_MS / 2) && r.got == 2)
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
	if (pd_trial__ready(t->pair.server, POLLPRI, 2 * PD_ABSENT_MS) &&
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

	if (!pd_trial__set(t, IPPROTO_TCP, TCP_INQ, 1, "TCP_INQ") ||
	    !pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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

	if (!pd_trial__set(t, SOL_SOCKET, SO_PEEK_OFF, 0, "SO_PEEK_OFF") ||
	    !pd_trial__give(t, "abcd") || !pd_trial__arrived(t, 4) ||
	    !pd_trial__set(t, SOL_SOCKET, SO_PEEK_OFF, 2, "SO_PEEK_OFF"))
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
	long end = pd_trial__now_ms() + PD_ARRIVE_MS;
	struct pd_trial plain = { 0 };
	bool stamped = false;
	int ignored;

	if (pd_scratch__open(&plain.pair, false) ||
	    !pd_trial__set(&plain, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS")) {
		pd_trial__untested(t, "can't make a second pair of sockets");
		return false;
	}
	while (!stamped && pd_trial__now_ms() < end) {
		if (!pd_trial__give(&plain, "x") ||
		    !pd_trial__ready(plain.pair.server, POLLIN, PD_ARRIVE_MS))
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

	if (!pd_trial__set(t, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS") || !stamping(t) ||
	    !pd_trial__give(t, "x") || !pd_trial__arrived(t, 1))
		return;
	if (has_control(t->pair.server, 1, SOL_SOCKET, SO_TIMESTAMPNS, &ignored))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "SO_TIMESTAMPNS: no time with the data");
}

void pd_test_trunc(struct pd_trial *t)
{
	ssize_t n;

	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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
	if (!pd_trial__give(t, "0123456789") || !pd_trial__arrived(t, 10))
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

void pd_test_zerocopy_send(struct pd_trial *t)
{
	static const char text[] = "0123456789";
	char control[256];
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	int on = 1;

	if (setsockopt(t->pair.client, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on))) {
		pd_trial__untested(t, "this kernel has no SO_ZEROCOPY on TCP: %s", strerror(errno));
		return;
	}
	if (send(t->pair.client, text, 10, MSG_ZEROCOPY | MSG_NOSIGNAL) != 10) {
		pd_trial__defect(t, "send(MSG_ZEROCOPY): %s", strerror(errno));
		return;
	}
	if (!pd_trial__arrived(t, 10))
		return;
	if (pd_trial__ready(t->pair.client, POLLERR, 2 * PD_ABSENT_MS) &&
	    recvmsg(t->pair.client, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) == 0)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "send(MSG_ZEROCOPY) succeeds and does not complete");
}

void pd_test_msg_more(struct pd_trial *t)
{
	if (send(t->pair.client, "a", 1, MSG_MORE | MSG_NOSIGNAL) != 1) {
		pd_trial__untested(t, "send(MSG_MORE) failed: %s", strerror(errno));
		return;
	}
	if (pd_trial__ready(t->pair.server, POLLIN, PD_ABSENT_MS / 4))
		pd_trial__defect(t, "a message with MSG_MORE is sent at once");
	else if (pd_trial__give(t, "b") && pd_trial__arrived(t, 2))
		pd_trial__as_tcp(t);
}

void pd_test_waitall(struct pd_trial *t)
{
	struct pd_call r;

	if (!pd_call__recv(t, &r, 10, MSG_WAITALL) || !pd_trial__give(t, "01234"))
		return;
	if (pd_call__is_done(&r, PD_ABSENT_MS)) {
		pd_trial__defect(t, "recv(MSG_WAITALL) of 10 bytes returned %zd", r.got);
		return;
	}
	if (!pd_trial__give(t, "56789"))
		return;
	if (pd_call__is_done(&r, PD_ARRIVE_MS) && r.got == 10)
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "recv(MSG_WAITALL) of 10 bytes does not return them");
}
