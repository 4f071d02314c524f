// SPDX-License-Identifier: GPL-2.0-only
/* What comes beside the data: TCP_INQ and time stamps. */
#include <time.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "sockets.h"

struct received {
	struct msghdr msg;
	struct iovec part;
	char buf[100];
	union {
		char bytes[512];
		struct cmsghdr align;
	} control;
};

static ssize_t receive(struct received *received, int fd, size_t len, int flags)
{
	memset(received, 0, sizeof(*received));
	received->part = (struct iovec){ received->buf, len };
	received->msg = (struct msghdr){
		.msg_iov = &received->part,
		.msg_iovlen = 1,
		.msg_control = &received->control,
		.msg_controllen = sizeof(received->control),
	};
	return recvmsg(fd, &received->msg, flags);
}

/* The control message, or NULL. */
static const void *control(struct received *received, int level, int type)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(&received->msg); cmsg; cmsg = CMSG_NXTHDR(&received->msg, cmsg)) {
		if (cmsg->cmsg_level == level && cmsg->cmsg_type == type)
			return CMSG_DATA(cmsg);
	}
	return NULL;
}

static void tcp_inq_tells_what_is_left(int from, int to)
{
	static const int want[] = { 15, 5, 0 }, sizes[] = { 5, 10, 100 };
	struct received received;

	set_option(to, IPPROTO_TCP, TCP_INQ, 1);
	say(from, "12345678901234567890");
	await(has_bytes(to, 20));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const int *left;

		succeeds(receive(&received, to, sizes[i], 0));
		left = control(&received, IPPROTO_TCP, TCP_CM_INQ);
		assert_non_null(left);
		assert_int_equal(*left, want[i]);
	}
}

/* How many control messages of this type came; MSG_CTRUNC says no other is missing. */
static int count(struct received *received, int level, int type)
{
	struct cmsghdr *cmsg;
	int nr = 0;

	for (cmsg = CMSG_FIRSTHDR(&received->msg); cmsg; cmsg = CMSG_NXTHDR(&received->msg, cmsg))
		nr += cmsg->cmsg_level == level && cmsg->cmsg_type == type;
	assert_int_equal(received->msg.msg_flags & MSG_CTRUNC, 0);
	return nr;
}

/* A call that waits for all of 15 bytes. */
struct whole {
	struct task task;
	struct received received;
	int fd;
	ssize_t returned;
};

static void receive_whole(void *arg)
{
	struct whole *whole = arg;

	whole->returned = receive(&whole->received, whole->fd, 15, MSG_WAITALL);
}

/* 10 are there when it begins. */
static void receive_some(struct whole *whole, int from, int to)
{
	say(from, "1234567890");
	await(has_bytes(to, 10));
	whole->fd = to;
	task_start(&whole->task, receive_whole, whole);
	await(whole->task.done || sleeps_in(whole->task.tid, SYS_recvmsg));
	require(!whole->task.done);
}

/* The rest comes later, and 5 more. */
static void receive_in_two(struct whole *whole, int from, int to)
{
	receive_some(whole, from, to);
	say(from, "1234567890");
	task_join(&whole->task);
	returns(15, whole->returned);
	hear(to, "67890");
}

static void tcp_inq_comes_once_for_a_call(int from, int to)
{
	struct whole whole;
	const int *left;

	set_option(to, IPPROTO_TCP, TCP_INQ, 1);
	receive_in_two(&whole, from, to);
	assert_int_equal(count(&whole.received, IPPROTO_TCP, TCP_CM_INQ), 1);
	left = control(&whole.received, IPPROTO_TCP, TCP_CM_INQ);
	assert_int_equal(*left, 5);
}

/* Bytes that are there when it is asked for are counted, by whichever way they came. */
static void tcp_inq_counts_what_is_there_already(int from, int to)
{
	struct received received;
	const int *left;

	set_option(from, SOL_SOCKET, SO_ZEROCOPY, 1);
	returns(10, send(from, "1234567890", 10, MSG_ZEROCOPY));
	say(from, "12345678901234567890");
	await(has_bytes(to, 30));
	set_option(to, IPPROTO_TCP, TCP_INQ, 1);
	returns(20, receive(&received, to, 20, MSG_WAITALL));
	assert_int_equal(count(&received, IPPROTO_TCP, TCP_CM_INQ), 1);
	left = control(&received, IPPROTO_TCP, TCP_CM_INQ);
	assert_int_equal(*left, 10);
}

/* Or who waits for another event would not come to read it. */
static void tcp_inq_is_not_0_before_the_end(int from, int to)
{
	struct received received;
	const int *left;

	say(from, "1234567890");
	await(has_bytes(to, 10));
	set_option(to, IPPROTO_TCP, TCP_INQ, 1);
	shutdown(from, SHUT_WR);
	await(has_events(to, POLLRDHUP));
	for (int i = 0; i < 2; i++) {
		returns(i ? 0 : 10, receive(&received, to, 20, 0));
		left = control(&received, IPPROTO_TCP, TCP_CM_INQ);
		assert_non_null(left);
		assert_int_equal(*left, 1);
	}
}

/* The kernel begins to stamp some time after it was asked to: data is sent until
 * some has a stamp, which has to be of now.
 */
static void is_stamped(int from, int to, int type)
{
	struct received received;
	const struct timespec *stamp = NULL;
	struct timespec now;

	await(({
		say(from, "a");
		await(has_bytes(to, 1));
		returns(1, receive(&received, to, 100, 0));
		stamp = control(&received, SOL_SOCKET, type);
		stamp && stamp->tv_sec;
	}));
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - stamp->tv_sec, 0, 5);
}

static void so_timestamp_stamps_data(int from, int to)
{
	set_option(to, SOL_SOCKET, SO_TIMESTAMP, 1);
	is_stamped(from, to, SO_TIMESTAMP);
}

static void so_timestamp_comes_once_for_a_call(int from, int to)
{
	struct whole whole;
	int nr = 0;

	set_option(to, SOL_SOCKET, SO_TIMESTAMP, 1);
	await(({
		receive_in_two(&whole, from, to);
		nr = count(&whole.received, SOL_SOCKET, SO_TIMESTAMP);
		nr > 0;
	}));
	assert_int_equal(nr, 1);
}

/* The end has no stamp; the bytes before it have theirs. */
static void so_timestamp_stays_when_the_end_comes(int from, int to)
{
	struct whole whole;

	so_timestamp_comes_once_for_a_call(from, to);
	receive_some(&whole, from, to);
	shutdown(from, SHUT_WR);
	task_join(&whole.task);
	returns(10, whole.returned);
	assert_int_equal(count(&whole.received, SOL_SOCKET, SO_TIMESTAMP), 1);
}

static void so_timestampns_stamps_data(int from, int to)
{
	set_option(to, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	is_stamped(from, to, SO_TIMESTAMPNS);
}

static void so_timestamping_stamps_received_data(int from, int to)
{
	set_option(to, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
	is_stamped(from, to, SO_TIMESTAMPING);
}

static void so_timestamping_stamps_what_is_acknowledged(int from, int to)
{
	struct received received;
	const struct sock_extended_err *err;

	set_option(from, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
			   SOF_TIMESTAMPING_OPT_TSONLY);
	say(from, "0123456789");
	hear(to, "0123456789");
	await(has_events(from, POLLERR));
	succeeds(receive(&received, from, 0, MSG_ERRQUEUE));
	assert_non_null(control(&received, SOL_SOCKET, SO_TIMESTAMPING));
	err = control(&received, SOL_IP, IP_RECVERR);
	if (!err)
		err = control(&received, SOL_IPV6, IPV6_RECVERR);
	assert_non_null(err);
	assert_int_equal(err->ee_origin, SO_EE_ORIGIN_TIMESTAMPING);
	assert_int_equal(err->ee_info, SCM_TSTAMP_ACK);
	assert_int_equal(err->ee_data, 9);
}

static void healthy_socket_has_no_error_queue(int from, int to)
{
	struct received received;

	say(from, "a");
	hear(to, "a");
	fails(EAGAIN, receive(&received, from, 100, MSG_ERRQUEUE));
	fails(EAGAIN, receive(&received, to, 100, MSG_ERRQUEUE));
	assert_int_equal(events_of(from, POLLERR), 0);
}

const struct test ancillary_tests[] = {
	TEST_WAYS(tcp_inq_tells_what_is_left),
	TEST_WAYS(tcp_inq_comes_once_for_a_call),
	TEST_WAYS(tcp_inq_counts_what_is_there_already),
	TEST_WAYS(tcp_inq_is_not_0_before_the_end),
	TEST_WAYS(so_timestamp_stamps_data),
	TEST_WAYS(so_timestamp_comes_once_for_a_call),
	TEST_WAYS(so_timestamp_stays_when_the_end_comes),
	TEST_WAYS(so_timestampns_stamps_data),
	TEST_WAYS(so_timestamping_stamps_received_data),
	TEST_WAYS(so_timestamping_stamps_what_is_acknowledged),
	TEST_WAYS(healthy_socket_has_no_error_queue),
	{ 0 },
};
