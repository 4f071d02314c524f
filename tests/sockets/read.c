// SPDX-License-Identifier: GPL-2.0-only
/* recv() and its relatives. */
#include <limits.h>
#include <sys/mman.h>

#include "sockets.h"

static void recv_returns_what_is_there(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(100, flow_recv(&flow, 1000, 0));
}

static void recv_takes_a_part_and_the_rest_later(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 1000);
	await(has_bytes(to, 1000));
	returns(300, flow_recv(&flow, 300, 0));
	returns(1, flow_recv(&flow, 1, 0));
	returns(699, flow_recv(&flow, 1000, 0));
}

static void recv_crosses_the_borders_of_messages(int from, int to)
{
	struct flow flow = flow_between(from, to);

	for (int i = 0; i < 3; i++)
		flow_put(&flow, 100);
	await(has_bytes(to, 300));
	returns(250, flow_recv(&flow, 250, 0));
	returns(50, flow_recv(&flow, 250, 0));
}

static void recv_waits_until_data_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	recv_begin(&call, to, 1000, 0);
	flow_put(&flow, 100);
	call_returns(&call, 100);
	flow_check(&flow, call.buf, 100);
}

static void dontwait_gives_eagain_when_empty(int from, int to)
{
	char byte;

	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	say(from, "a");
	await(has_bytes(to, 1));
	returns(1, recv(to, &byte, 1, MSG_DONTWAIT));
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
}

static void read_takes_what_write_gives(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char buf[500];

	returns(500, write(from, flow_next(&flow, 500), 500));
	flow_sent(&flow, 500);
	await(has_bytes(to, 500));
	returns(200, read(to, buf, 200));
	flow_check(&flow, buf, 200);
	returns(300, read(to, buf, sizeof(buf)));
	flow_check(&flow, buf, 300);
}

static void readv_fills_each_part_in_turn(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char a[10], b[1], c[300];
	struct iovec parts[] = { { a, 10 }, { NULL, 0 }, { b, 1 }, { c, 300 } };

	flow_put(&flow, 200);
	await(has_bytes(to, 200));
	returns(200, readv(to, parts, ARRAY_SIZE(parts)));
	flow_check(&flow, a, 10);
	flow_check(&flow, b, 1);
	flow_check(&flow, c, 189);
}

static void recvmsg_fills_1024_parts(int from, int to)
{
	struct flow flow = flow_between(from, to);
	static char buf[IOV_MAX * 7];
	struct iovec parts[IOV_MAX];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = IOV_MAX };

	for (int i = 0; i < IOV_MAX; i++)
		parts[i] = (struct iovec){ buf + 7 * i, 7 };
	flow_put(&flow, sizeof(buf));
	await(has_bytes(to, sizeof(buf)));
	returns(sizeof(buf), recvmsg(to, &msg, 0));
	flow_check(&flow, buf, sizeof(buf));
}

static void recvmsg_tells_no_name_and_no_flags(int from, int to)
{
	struct sockaddr_storage name;
	char buf[16], control[64];
	struct iovec part = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_name = &name,
		.msg_namelen = sizeof(name),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
		.msg_flags = ~0,
	};

	say(from, "hello");
	await(has_bytes(to, 5));
	returns(5, recvmsg(to, &msg, 0));
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(msg.msg_namelen, 0);
	assert_int_equal(msg.msg_controllen, 0);
	assert_int_equal(msg.msg_flags & ~MSG_CMSG_CLOEXEC, 0);
}

static void recvmmsg_fills_several_messages(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct mmsghdr msgs[4] = {};
	struct iovec parts[4];
	static char buf[4][100];

	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){ buf[i], 100 };
		msgs[i].msg_hdr.msg_iov = &parts[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	flow_put(&flow, 250);
	await(has_bytes(to, 250));
	returns(3, recvmmsg(to, msgs, 4, MSG_WAITFORONE, NULL));
	assert_int_equal(msgs[0].msg_len, 100);
	assert_int_equal(msgs[1].msg_len, 100);
	assert_int_equal(msgs[2].msg_len, 50);
	for (int i = 0; i < 3; i++)
		flow_check(&flow, buf[i], msgs[i].msg_len);
}

static void read_of_nothing_returns_at_once(int from, int to)
{
	char byte;

	returns(0, read(to, &byte, 0));
	say(from, "ab");
	await(has_bytes(to, 2));
	returns(0, read(to, &byte, 0));
	returns(0, recv(to, &byte, 0, 0));
	hear(to, "ab");
}

static void recv_of_nothing_gives_eagain_when_empty(int from, int to)
{
	char byte;

	fails(EAGAIN, recv(to, &byte, 0, MSG_DONTWAIT));
	say(from, "a");
	await(has_bytes(to, 1));
	returns(0, recv(to, &byte, 0, MSG_DONTWAIT));
	hear(to, "a");
}

static void preadv2_nowait_gives_eagain_when_empty(int from, int to)
{
	char buf[10];
	struct iovec part = { buf, sizeof(buf) };

	if (preadv2(to, &part, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP)
		skip_case("this kernel has no RWF_NOWAIT for sockets");
	fails(EAGAIN, preadv2(to, &part, 1, -1, RWF_NOWAIT));
	say(from, "abc");
	await(has_bytes(to, 3));
	returns(3, preadv2(to, &part, 1, -1, RWF_NOWAIT));
	fails(EAGAIN, preadv2(to, &part, 1, -1, RWF_NOWAIT));
}

static void bad_pointer_gives_efault_and_loses_nothing(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	fails(EFAULT, recv(to, (void *)16, 100, 0));
	returns(100, flow_recv(&flow, 1000, 0));
}

/* Whatever part of the buffer can be written: what is not returned is still there. */
static void half_bad_buffer_loses_and_doubles_nothing(int from, int to)
{
	struct flow flow = flow_between(from, to);
	size_t page = sysconf(_SC_PAGESIZE);
	char *map =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *buf = map + page - 150;
	ssize_t n;

	require(map != MAP_FAILED);
	succeeds(mprotect(map + page, page, PROT_NONE));
	for (int i = 0; i < 3; i++)
		flow_put(&flow, 100);
	await(has_bytes(to, 300));
	n = recv(to, buf, 300, 0);
	if (n < 0)
		assert_int_equal(errno, EFAULT);
	assert_in_range(n + 1, 0, 151);
	if (n > 0)
		flow_check(&flow, buf, n);
	flow_drain(&flow);
	munmap(map, 2 * page);
}

static void trunc_discards_without_a_buffer(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(40, recv(to, NULL, 40, MSG_TRUNC));
	flow.taken += 40;
	returns(60, flow_recv(&flow, 100, 0));
	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(100, recv(to, NULL, 1000, MSG_TRUNC));
	fails(EAGAIN, recv(to, NULL, 1000, MSG_TRUNC | MSG_DONTWAIT));
}

static void trunc_leaves_the_buffer_as_it_was(int from, int to)
{
	char buf[] = "untouched";

	say(from, "something");
	await(has_bytes(to, 9));
	returns(9, recv(to, buf, 9, MSG_TRUNC));
	assert_string_equal(buf, "untouched");
}

/* ---- MSG_WAITALL ----------------------------------------------------------- */

static void waitall_waits_for_all(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	recv_begin(&call, to, 3000, MSG_WAITALL);
	flow_put(&flow, 1000);
	await(call_stirred(&call));
	flow_put(&flow, 2500);
	call_returns(&call, 3000);
	flow_check(&flow, call.buf, 3000);
	flow_take(&flow, 500);
}

static void waitall_returns_what_came_before_the_end(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	recv_begin(&call, to, 3000, MSG_WAITALL);
	flow_put(&flow, 1000);
	await(call_stirred(&call));
	flow_put(&flow, 500);
	succeeds(shutdown(from, SHUT_WR));
	call_returns(&call, 1500);
	flow_check(&flow, call.buf, 1500);
	flow_end(&flow);
}

static void waitall_returns_what_came_before_the_timeout(int from, int to)
{
	const struct timeval timeout = { .tv_usec = 100000 };
	struct flow flow = flow_between(from, to);
	struct call call;

	succeeds(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	recv_begin(&call, to, 3000, MSG_WAITALL);
	flow_put(&flow, 1000);
	call_returns(&call, 1000);
	flow_check(&flow, call.buf, 1000);
}

static void waitall_returns_what_came_before_a_signal(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	catch_signals(0);
	recv_begin(&call, to, 3000, MSG_WAITALL);
	flow_put(&flow, 1000);
	await(call_stirred(&call));
	flow_put(&flow, 500);
	await(call_stirred(&call));
	interrupt(&call);
	call_returns(&call, 1500);
	flow_check(&flow, call.buf, 1500);
}

static void waitall_with_dontwait_takes_what_is_there(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(100, flow_recv(&flow, 1000, MSG_WAITALL | MSG_DONTWAIT));
}

static void waitall_may_ask_for_more_than_the_buffers_hold(void)
{
	struct pair pair = connected_small(16384);
	struct flow flow = flow_of(&pair, CLIENT);
	struct pump pump;
	struct call call;

	recv_begin(&call, pair.end[SERVER], KIB(300), MSG_WAITALL);
	flow_put(&flow, 1);
	await(call_stirred(&call));
	pump_in(&pump, &flow, KIB(300) - 1, 10000);
	call_returns(&call, KIB(300));
	flow_check(&flow, call.buf, KIB(300));
	pump_join(&pump);
}

/* ---- SO_RCVTIMEO ----------------------------------------------------------- */

static void rcvtimeo_ends_recv_with_eagain(int from, int to)
{
	const struct timeval timeout = { .tv_usec = 60000 };
	long began = now_ms(), took;
	char byte;

	succeeds(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	fails(EAGAIN, recv(to, &byte, 1, 0));
	took = now_ms() - began;
	assert_in_range(took, 55, 1500);
	say(from, "a");
	hear(to, "a");
}

static void rcvtimeo_lets_data_through_at_once(int from, int to)
{
	const struct timeval timeout = { .tv_sec = 30 };
	struct call call;

	succeeds(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	recv_begin(&call, to, 100, 0);
	say(from, "abc");
	call_returns(&call, 3);
}

const struct test read_tests[] = {
	TEST_WAYS(recv_returns_what_is_there),
	TEST_WAYS(recv_takes_a_part_and_the_rest_later),
	TEST_WAYS(recv_crosses_the_borders_of_messages),
	TEST_WAYS(recv_waits_until_data_comes),
	TEST_WAYS(dontwait_gives_eagain_when_empty),
	TEST_WAYS(read_takes_what_write_gives),
	TEST_WAYS(readv_fills_each_part_in_turn),
	TEST_WAYS(recvmsg_fills_1024_parts),
	TEST_WAYS(recvmsg_tells_no_name_and_no_flags),
	TEST_WAYS(recvmmsg_fills_several_messages),
	TEST_WAYS(read_of_nothing_returns_at_once),
	TEST_WAYS(recv_of_nothing_gives_eagain_when_empty),
	TEST_WAYS(preadv2_nowait_gives_eagain_when_empty),
	TEST_WAYS(bad_pointer_gives_efault_and_loses_nothing),
	TEST_WAYS(half_bad_buffer_loses_and_doubles_nothing),
	TEST_WAYS(trunc_discards_without_a_buffer),
	TEST_WAYS(trunc_leaves_the_buffer_as_it_was),
	TEST_WAYS(waitall_waits_for_all),
	TEST_WAYS(waitall_returns_what_came_before_the_end),
	TEST_WAYS(waitall_returns_what_came_before_the_timeout),
	TEST_WAYS(waitall_returns_what_came_before_a_signal),
	TEST_WAYS(waitall_with_dontwait_takes_what_is_there),
	TEST(waitall_may_ask_for_more_than_the_buffers_hold),
	TEST_WAYS(rcvtimeo_ends_recv_with_eagain),
	TEST_WAYS(rcvtimeo_lets_data_through_at_once),
	{ 0 },
};
