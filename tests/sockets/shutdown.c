// SPDX-License-Identifier: GPL-2.0-only
/* shutdown() in each direction, and the end of file. */
#include "sockets.h"

static void reader_gets_eof_only_after_last_byte(void)
{
	static const size_t sizes[] = { 1, 1000, 1448, 16384, 65536, 200000 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		struct pair pair = connected();
		struct flow flow = flow_of(&pair, i & 1);
		struct pump pump;

		pump_out(&pump, &flow, sizes[i / 2], 10000);
		flow_put(&flow, sizes[i / 2]);
		succeeds(shutdown(flow.from, SHUT_WR));
		pump_join(&pump);
		flow_end(&flow);
		close_pair(&pair);
	}
}

static void read_on(void *arg)
{
	struct flow *flow = arg;
	ssize_t n;

	while ((n = flow_recv(flow, 1000, MSG_DONTWAIT)))
		require(n > 0 || errno == EAGAIN);
}

/* They are in the segment of the FIN: a reader that looks all the time sees neither, or both. */
static void last_bytes_are_read_before_the_end_they_come_with(void)
{
	for (int i = 0; i < 40; i++) {
		struct pair pair = connected();
		struct flow flow = flow_of(&pair, i & 1);
		struct task reader;

		warm_up(flow.from, flow.to);
		task_start(&reader, read_on, &flow);
		nap();
		assert_int_equal(flow_send(&flow, 100, MSG_MORE), 100);
		succeeds(shutdown(flow.from, SHUT_WR));
		task_join(&reader);
		flow_end(&flow);
		close_pair(&pair);
	}
}

static void stalled_reader_gets_all_that_was_sent_before_the_end(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_fill_up(&flow);
	succeeds(shutdown(from, SHUT_WR));
	flow_drain(&flow);
	flow_end(&flow);
}

static void half_closed_connection_carries_the_other_way(int from, int to)
{
	struct flow there = flow_between(from, to), back = flow_between(to, from);

	flow_put(&there, 1000);
	succeeds(shutdown(from, SHUT_WR));
	flow_drain(&there);
	flow_end(&there);
	for (int i = 0; i < 10; i++) {
		flow_put(&back, 5000);
		flow_drain(&back);
	}
	succeeds(shutdown(to, SHUT_WR));
	flow_end(&back);
}

static void blocked_reader_gets_the_end(int from, int to)
{
	struct call call;

	recv_begin(&call, to, 100, 0);
	succeeds(shutdown(from, SHUT_WR));
	call_returns(&call, 0);
}

static void half_closed_end_waits_for_its_reply(int from, int to)
{
	struct call call;

	say(from, "question");
	succeeds(shutdown(from, SHUT_WR));
	recv_begin(&call, from, 100, 0);
	hear(to, "question");
	hear_end(to);
	await(tcp_state(from) == TCP_FIN_WAIT2);
	call_settles(&call);
	say(to, "answer");
	call_returns(&call, 6);
}

static void shutdown_of_sending_leaves_a_blocked_reader_asleep(int from, int to)
{
	struct call call;

	recv_begin(&call, from, 100, 0);
	succeeds(shutdown(from, SHUT_WR));
	await(tcp_state(from) == TCP_FIN_WAIT2);
	call_settles(&call);
	say(to, "answer");
	call_returns(&call, 6);
}

static void send_after_shutdown_gives_epipe_and_sends_nothing(int from, int to)
{
	say(from, "a");
	succeeds(shutdown(from, SHUT_WR));
	for (int i = 0; i < 3; i++)
		fails(EPIPE, send(from, "b", 1, MSG_NOSIGNAL));
	fails(EPIPE, send(from, "b", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
	hear(to, "a");
	hear_end(to);
}

static void shutdown_of_sending_twice_is_no_error(int from, int to)
{
	succeeds(shutdown(from, SHUT_WR));
	succeeds(shutdown(from, SHUT_WR));
	hear_end(to);
	say(to, "still here");
	hear(from, "still here");
}

static void shutdown_of_receiving_wakes_a_blocked_reader(int from, int to)
{
	struct call call;

	recv_begin(&call, to, 100, 0);
	succeeds(shutdown(to, SHUT_RD));
	call_returns(&call, 0);
	say(to, "other way");
	hear(from, "other way");
}

static void data_from_before_shutdown_of_receiving_can_be_read(int from, int to)
{
	say(from, "before");
	await(has_bytes(to, 6));
	succeeds(shutdown(to, SHUT_RD));
	assert_true(has_events(to, POLLIN | POLLRDHUP));
	hear(to, "before");
	hear_end(to);
}

static void data_from_after_shutdown_of_receiving_can_be_read(int from, int to)
{
	succeeds(shutdown(to, SHUT_RD));
	hear_end(to);
	say(from, "after");
	await(has_bytes(to, 5));
	hear(to, "after");
	hear_end(to);
}

static void shutdown_of_both_ends_the_peer(int from, int to)
{
	say(from, "last");
	succeeds(shutdown(from, SHUT_RDWR));
	hear(to, "last");
	hear_end(to);
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
	hear_end(from);
}

static void data_after_shutdown_of_both_is_answered_by_a_reset(int from, int to)
{
	succeeds(shutdown(from, SHUT_RDWR));
	hear_end(to);
	say(to, "to nobody");
	await(has_events(to, POLLHUP | POLLERR));
	fails(EPIPE, send(to, "a", 1, MSG_NOSIGNAL));
}

static void shutdown_ends_a_blocked_sender(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	send_begin_full(&call, &flow, MIB(16));
	succeeds(shutdown(from, SHUT_WR));
	call_join(&call);
	if (call.returned < 0)
		assert_int_equal(call.error, EPIPE);
	else
		flow_sent(&flow, call.returned);
	flow_drain(&flow);
	flow_end(&flow);
}

static void both_half_close_at_once_and_lose_nothing(void)
{
	for (int i = 0; i < 10; i++) {
		struct pair pair = connected();
		struct flow flows[2];

		for (int side = 0; side < 2; side++) {
			flows[side] = flow_of(&pair, side);
			flow_put(&flows[side], 1 + 3000 * i);
		}
		for (int side = 0; side < 2; side++)
			succeeds(shutdown(pair.end[side], SHUT_WR));
		for (int side = 0; side < 2; side++) {
			flow_drain(&flows[side]);
			flow_end(&flows[side]);
		}
		close_pair(&pair);
	}
}

const struct test shutdown_tests[] = {
	TEST(reader_gets_eof_only_after_last_byte),
	TEST(last_bytes_are_read_before_the_end_they_come_with),
	TEST_WAYS(stalled_reader_gets_all_that_was_sent_before_the_end),
	TEST_WAYS(half_closed_connection_carries_the_other_way),
	TEST_WAYS(blocked_reader_gets_the_end),
	TEST_WAYS(half_closed_end_waits_for_its_reply),
	TEST_WAYS(shutdown_of_sending_leaves_a_blocked_reader_asleep),
	TEST_WAYS(send_after_shutdown_gives_epipe_and_sends_nothing),
	TEST_WAYS(shutdown_of_sending_twice_is_no_error),
	TEST_WAYS(shutdown_of_receiving_wakes_a_blocked_reader),
	TEST_WAYS(data_from_before_shutdown_of_receiving_can_be_read),
	TEST_WAYS(data_from_after_shutdown_of_receiving_can_be_read),
	TEST_WAYS(shutdown_of_both_ends_the_peer),
	TEST_WAYS(data_after_shutdown_of_both_is_answered_by_a_reset),
	TEST_WAYS(shutdown_ends_a_blocked_sender),
	TEST(both_half_close_at_once_and_lose_nothing),
	{ 0 },
};
