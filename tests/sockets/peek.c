// SPDX-License-Identifier: GPL-2.0-only
/* MSG_PEEK. */
#include <sys/mman.h>

#include "sockets.h"

static ssize_t peek(const struct flow *flow, size_t len, int flags)
{
	struct flow copy = *flow;

	return flow_recv(&copy, len, flags | MSG_PEEK);
}

static void peek_leaves_the_data(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(100, peek(&flow, 1000, 0));
	returns(50, peek(&flow, 50, 0));
	returns(100, flow_recv(&flow, 1000, 0));
	fails(EAGAIN, peek(&flow, 1000, MSG_DONTWAIT));
}

static void peek_sees_across_messages(int from, int to)
{
	struct flow flow = flow_between(from, to);

	for (int i = 0; i < 5; i++)
		flow_put(&flow, 100);
	await(has_bytes(to, 500));
	returns(450, peek(&flow, 450, 0));
	returns(500, peek(&flow, 1000, 0));
	returns(500, flow_recv(&flow, 1000, 0));
}

static void peek_after_a_part_sees_the_rest(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	flow_put(&flow, 100);
	await(has_bytes(to, 200));
	returns(130, flow_recv(&flow, 130, 0));
	returns(70, peek(&flow, 1000, 0));
	flow_put(&flow, 100);
	await(has_bytes(to, 170));
	returns(170, peek(&flow, 1000, 0));
	returns(170, flow_recv(&flow, 1000, 0));
}

static void peek_waits_until_data_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct flow peeked = flow;
	struct call call;

	recv_begin(&call, to, 1000, MSG_PEEK);
	flow_put(&flow, 100);
	call_returns(&call, 100);
	flow_check(&peeked, call.buf, 100);
	returns(100, flow_recv(&flow, 1000, 0));
}

static void peek_of_all_waits_for_all(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct flow peeked = flow;
	struct call call;

	recv_begin(&call, to, 1000, MSG_PEEK | MSG_WAITALL);
	flow_put(&flow, 600);
	await(call_stirred(&call));
	flow_put(&flow, 600);
	call_returns(&call, 1000);
	flow_check(&peeked, call.buf, 1000);
	flow_drain(&flow);
}

/* What came in between is looked at once, and what was there before not twice. */
static void peek_of_all_ends_with_its_timeout(int from, int to)
{
	const struct timeval timeout = { .tv_usec = 400000 };
	static const int flags[] = { MSG_TRUNC, 0 };
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	succeeds(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct flow peeked = flow;
		size_t left = 600;

		flow_put(&flow, 300);
		await(has_bytes(to, 300));
		recv_begin(&call, to, 1000, MSG_PEEK | MSG_WAITALL | flags[i]);
		/* In a slow machine the timeout may come first. */
		flow_put(&flow, 300);
		call_join(&call);
		if (call.returned != 300)
			call_returns(&call, 600);
		if (!flags[i])
			flow_check(&peeked, call.buf, call.returned);
		while (left)
			left -= succeeds(flow_recv(&flow, left, 0));
	}
}

static void peek_of_all_ends_with_the_end(int from, int to)
{
	struct flow flow = flow_between(from, to);

	warm_up(from, to);
	flow_put(&flow, 100);
	succeeds(shutdown(from, SHUT_WR));
	returns(100, peek(&flow, 1000, MSG_WAITALL));
	flow_drain(&flow);
	flow_end(&flow);
}

static void peek_sees_the_end(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 10);
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLRDHUP));
	returns(10, peek(&flow, 1000, 0));
	returns(10, flow_recv(&flow, 1000, 0));
	returns(0, peek(&flow, 1000, 0));
	flow_end(&flow);
}

static void peek_sees_as_much_as_there_is(int from, int to)
{
	struct flow flow = flow_between(from, to);
	size_t len = KIB(40);

	for (size_t i = 0; i < len; i += 2000)
		flow_put(&flow, len - i < 2000 ? len - i : 2000);
	await(has_bytes(to, len));
	returns(len, peek(&flow, len, MSG_WAITALL));
	flow_drain(&flow);
}

static void peek_with_trunc_counts_without_a_buffer(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 100);
	await(has_bytes(to, 100));
	returns(100, recv(to, NULL, 1000, MSG_PEEK | MSG_TRUNC));
	returns(100, flow_recv(&flow, 1000, 0));
}

static bool has_peek_off(int fd)
{
	const int zero = 0;

	return !setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &zero, sizeof(zero));
}

/* What is sent with MSG_ZEROCOPY goes over TCP on every engine that knows it. Returns how much. */
static size_t put_in_turns(struct flow *flow, int rounds)
{
	size_t sent = 0;

	warm_up(flow->from, flow->to);
	set_option(flow->from, SOL_SOCKET, SO_ZEROCOPY, 1);
	for (int i = 0; i < rounds; i++) {
		flow_put(flow, 600 + i);
		returns(700, send(flow->from, flow_next(flow, 700), 700, MSG_ZEROCOPY));
		flow_sent(flow, 700);
		sent += 1300 + i;
		/* TCP holds nothing back that is to be sent next. */
		await(has_bytes(flow->to, sent) && !unacknowledged(flow->from));
	}
	return sent;
}

static void peek_looks_at_all_that_came_in_turns(int from, int to)
{
	struct flow flow = flow_between(from, to), look;
	size_t all = put_in_turns(&flow, 4);
	char buf[8192];

	/* Of the first and the second, to the end of each kind and not. */
	for (size_t len = 1; len < all + 600; len += 233) {
		look = flow;
		returns(len < all ? len : all, recv(to, buf, len, MSG_PEEK));
		flow_check(&look, buf, len < all ? len : all);
	}
	look = flow;
	returns(all, recv(to, buf, all, MSG_PEEK | MSG_WAITALL));
	flow_check(&look, buf, all);
	/* From within either kind on. */
	flow_take(&flow, 300);
	look = flow;
	returns(all - 300, recv(to, buf, sizeof(buf), MSG_PEEK));
	flow_check(&look, buf, all - 300);
	flow_take(&flow, 500);
	look = flow;
	returns(all - 800, recv(to, buf, sizeof(buf), MSG_PEEK));
	flow_check(&look, buf, all - 800);
	returns(all - 800, recv(to, buf, sizeof(buf), MSG_PEEK | MSG_TRUNC));
	flow_drain(&flow);
}

/* What could be copied before it, or nothing: but now. */
static void peek_of_all_ends_at_bad_memory(int from, int to)
{
	struct flow flow = flow_between(from, to), look = flow;
	char *map = large_buffer(-1);
	size_t all;
	ssize_t n;

	all = put_in_turns(&flow, 8);
	require(all > KIB(8));
	succeeds(mprotect(map + KIB(8), LARGE - KIB(8), PROT_NONE));
	for (int good = KIB(8); good > 0; good -= 311) {
		look = flow;
		n = recv(to, map + KIB(8) - good, all, MSG_PEEK | MSG_WAITALL);
		if (n < 0)
			assert_int_equal(errno, EFAULT);
		else
			flow_check(&look, map + KIB(8) - good, n);
	}
	flow_drain(&flow);
}

static void peek_of_all_waits_for_what_comes_in_turns(int from, int to)
{
	struct flow flow = flow_between(from, to), look = flow;
	size_t all = put_in_turns(&flow, 2);
	struct call call;

	recv_begin(&call, to, all + 100, MSG_PEEK | MSG_WAITALL);
	call_settles(&call);
	flow_put(&flow, 50);
	call_settles(&call);
	returns(70, send(from, flow_next(&flow, 70), 70, MSG_ZEROCOPY));
	flow_sent(&flow, 70);
	call_returns(&call, all + 100);
	flow_check(&look, call.buf, all + 100);
	flow_drain(&flow);
}

static void peek_off_moves_through_what_came_in_turns(int from, int to)
{
	struct flow flow = flow_between(from, to), look = flow;
	size_t all, len, at;
	char buf[8192];

	if (!has_peek_off(to))
		skip_case("this kernel has no SO_PEEK_OFF for TCP");
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, -1);
	all = put_in_turns(&flow, 4);
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, 0);
	for (at = 0; at < all; at += len) {
		len = all - at < 467 ? all - at : 467;
		returns(len, recv(to, buf, len, MSG_PEEK));
		flow_check(&look, buf, len);
		assert_int_equal(get_option(to, SOL_SOCKET, SO_PEEK_OFF), at + len);
	}
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, -1);
	flow_drain(&flow);
}

/* Which is what stops a look that began before it. */
static void peek_off_passes_over_the_urgent_byte(int from, int to)
{
	struct flow flow = flow_between(from, to), look;
	char buf[8192], byte;

	if (!has_peek_off(to))
		skip_case("this kernel has no SO_PEEK_OFF for TCP");
	warm_up(from, to);
	flow_put(&flow, 3000);
	returns(1, flow_send(&flow, 1, MSG_OOB));
	flow_put(&flow, 5000);
	await(has_bytes(to, 3000) && has_events(to, POLLPRI));
	await(!unacknowledged(from));
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, 1000);
	returns(2000, recv(to, buf, sizeof(buf), MSG_PEEK));
	look = flow;
	look.taken += 1000;
	flow_check(&look, buf, 2000);
	assert_int_equal(get_option(to, SOL_SOCKET, SO_PEEK_OFF), 3000);
	returns(5000, recv(to, buf, sizeof(buf), MSG_PEEK));
	look.taken++;
	flow_check(&look, buf, 5000);
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, -1);
	flow_take(&flow, 3000);
	returns(1, recv(to, &byte, 1, MSG_OOB));
	flow_check(&flow, &byte, 1);
	flow_drain(&flow);
}

static void peek_off_moves_with_each_peek(int from, int to)
{
	char buf[16];

	if (!has_peek_off(to))
		skip_case("this kernel has no SO_PEEK_OFF for TCP");
	say(from, "0123456789");
	await(has_bytes(to, 10));
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, 2);
	returns(3, recv(to, buf, 3, MSG_PEEK));
	assert_memory_equal(buf, "234", 3);
	returns(4, recv(to, buf, 4, MSG_PEEK));
	assert_memory_equal(buf, "5678", 4);
	assert_int_equal(get_option(to, SOL_SOCKET, SO_PEEK_OFF), 9);
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, -1);
	hear(to, "0123456789");
}

static void peek_off_moves_back_as_data_is_read(int from, int to)
{
	char buf[16];

	if (!has_peek_off(to))
		skip_case("this kernel has no SO_PEEK_OFF for TCP");
	say(from, "0123456789");
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, -1);
	await(has_bytes(to, 10));
	set_option(to, SOL_SOCKET, SO_PEEK_OFF, 5);
	hear(to, "012");
	assert_int_equal(get_option(to, SOL_SOCKET, SO_PEEK_OFF), 2);
	returns(2, recv(to, buf, 2, MSG_PEEK));
	assert_memory_equal(buf, "56", 2);
	hear(to, "3456789");
}

const struct test peek_tests[] = {
	TEST_WAYS(peek_leaves_the_data),
	TEST_WAYS(peek_sees_across_messages),
	TEST_WAYS(peek_after_a_part_sees_the_rest),
	TEST_WAYS(peek_waits_until_data_comes),
	TEST_WAYS(peek_of_all_waits_for_all),
	TEST_WAYS(peek_of_all_ends_with_its_timeout),
	TEST_WAYS(peek_of_all_ends_with_the_end),
	TEST_WAYS(peek_sees_the_end),
	TEST_WAYS(peek_sees_as_much_as_there_is),
	TEST_WAYS(peek_with_trunc_counts_without_a_buffer),
	TEST_WAYS(peek_looks_at_all_that_came_in_turns),
	TEST_WAYS(peek_of_all_waits_for_what_comes_in_turns),
	TEST_WAYS(peek_of_all_ends_at_bad_memory),
	TEST_WAYS(peek_off_moves_through_what_came_in_turns),
	TEST_WAYS(peek_off_passes_over_the_urgent_byte),
	TEST_WAYS(peek_off_moves_with_each_peek),
	TEST_WAYS(peek_off_moves_back_as_data_is_read),
	{ 0 },
};
