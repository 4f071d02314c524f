// SPDX-License-Identifier: GPL-2.0-only
/* MSG_ZEROCOPY and TCP_ZEROCOPY_RECEIVE. */
#include <time.h>

#include <linux/errqueue.h>

#include "sockets.h"

#define SIZE KIB(32)

/* Take the next notification: which sends are complete, from *@low to *@high. */
static void completion(int fd, uint32_t *low, uint32_t *high)
{
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control) };
	const struct sock_extended_err *err;
	const struct cmsghdr *cmsg;

	await(has_events(fd, POLLERR));
	succeeds(recvmsg(fd, &msg, MSG_ERRQUEUE));
	require(msg.msg_flags & MSG_ERRQUEUE);
	cmsg = CMSG_FIRSTHDR(&msg);
	require(cmsg);
	require((cmsg->cmsg_level == SOL_IP && cmsg->cmsg_type == IP_RECVERR) ||
		(cmsg->cmsg_level == SOL_IPV6 && cmsg->cmsg_type == IPV6_RECVERR));
	err = (const void *)CMSG_DATA(cmsg);
	require(err->ee_errno == 0);
	require(err->ee_origin == SO_EE_ORIGIN_ZEROCOPY);
	*low = err->ee_info;
	*high = err->ee_data;
}

/* Each of the first @nr sends completes once, in order. */
static void all_complete(int fd, uint32_t nr)
{
	uint32_t next = 0, low, high;

	while (next < nr) {
		completion(fd, &low, &high);
		if (low != next || high < low)
			give_up(__FILE__, __LINE__, "sends %u to %u are complete, expected %u", low,
				high, next);
		next = high + 1;
	}
	require(next == nr);
}

static void send_without_copy(struct flow *flow, size_t len)
{
	returns(len, send(flow->from, flow_next(flow, len), len, MSG_ZEROCOPY));
	flow_sent(flow, len);
}

static void zerocopy_send_arrives_and_completes(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(from, SOL_SOCKET, SO_ZEROCOPY, 1);
	send_without_copy(&flow, SIZE);
	flow_drain(&flow);
	all_complete(from, 1);
	assert_int_equal(events_of(from, POLLERR), 0);
}

static void each_zerocopy_send_completes_once(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(from, SOL_SOCKET, SO_ZEROCOPY, 1);
	for (int i = 0; i < 10; i++) {
		send_without_copy(&flow, 1 + 3000 * i);
		flow_drain(&flow);
	}
	all_complete(from, 10);
}

static void zerocopy_and_other_sends_keep_their_order(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(from, SOL_SOCKET, SO_ZEROCOPY, 1);
	for (int i = 0; i < 10; i++) {
		flow_put(&flow, 100 + i);
		send_without_copy(&flow, 7000);
		flow_put(&flow, 3000);
		flow_take(&flow, 5000);
	}
	flow_drain(&flow);
	all_complete(from, 10);
}

static void zerocopy_unasked_is_an_ordinary_send(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	send_without_copy(&flow, SIZE);
	flow_drain(&flow);
	assert_int_equal(events_of(from, POLLERR), 0);
	fails(EAGAIN, recvmsg(from, &msg, MSG_ERRQUEUE));
}

/* As linux/tcp.h has it, which does not go together with netinet/tcp.h. */
struct zerocopy_receive {
	uint64_t address;
	uint32_t length;
	uint32_t recv_skip_hint;
	uint32_t inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control;
	uint64_t msg_controllen;
	uint32_t msg_flags;
	uint32_t reserved;
};

static void zerocopy_receive_copies_what_is_small(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char buf[4096];
	struct zerocopy_receive zc = {
		.copybuf_address = (uintptr_t)buf,
		.copybuf_len = sizeof(buf),
	};
	socklen_t len = sizeof(zc);

	flow_put(&flow, 500);
	await(has_bytes(to, 500));
	succeeds(getsockopt(to, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len));
	assert_int_equal(zc.length, 0);
	assert_int_equal(zc.copybuf_len, 500);
	flow_check(&flow, buf, 500);
	flow_put(&flow, 100);
	flow_drain(&flow);
}

/* Take what TCP_ZEROCOPY_RECEIVE gives of @most bytes. It may refuse, for bytes that only
 * recv() gives.
 */
static bool zerocopy_receive(struct flow *flow, size_t most)
{
	char buf[4096];
	struct zerocopy_receive zc = {
		.copybuf_address = (uintptr_t)buf,
		.copybuf_len = most < sizeof(buf) ? most : sizeof(buf),
	};
	socklen_t len = sizeof(zc);

	if (getsockopt(flow->to, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len)) {
		require(errno == EINVAL);
		return false;
	}
	require(zc.length == 0);
	require(zc.copybuf_len >= 0 && (size_t)zc.copybuf_len <= most);
	flow_check(flow, buf, zc.copybuf_len);
	return zc.copybuf_len;
}

static void zerocopy_receive_loses_nothing_that_is_unread(int from, int to)
{
	struct flow flow = flow_between(from, to);

	warm_up(from, to);
	for (int i = 0; i < 10; i++) {
		flow_put(&flow, 3000 + 7 * i);
		await(has_bytes(to, 100));
		zerocopy_receive(&flow, 100);
		flow_put(&flow, 500);
		zerocopy_receive(&flow, 100);
		flow_take(&flow, 1000);
		zerocopy_receive(&flow, 100);
		flow_put(&flow, 2000);
		flow_drain(&flow);
		/* Nothing is unread any more. */
		flow_put(&flow, 50);
		await(has_bytes(to, 50));
		require(zerocopy_receive(&flow, 100));
		flow_drain(&flow);
	}
}

const struct test zerocopy_tests[] = {
	TEST_WAYS(zerocopy_send_arrives_and_completes),
	TEST_WAYS(each_zerocopy_send_completes_once),
	TEST_WAYS(zerocopy_and_other_sends_keep_their_order),
	TEST_WAYS(zerocopy_unasked_is_an_ordinary_send),
	TEST_WAYS(zerocopy_receive_copies_what_is_small),
	TEST_WAYS(zerocopy_receive_loses_nothing_that_is_unread),
	{ 0 },
};
