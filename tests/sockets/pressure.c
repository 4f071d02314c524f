// SPDX-License-Identifier: GPL-2.0-only
/* Readers that do not read, and what their senders notice. */
#include <sys/time.h>

#include "sockets.h"

static void stalled_reader_stops_its_sender(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_fill_up(&flow);
	assert_in_range(flow.sent, 1000, TOO_MUCH - 1);
	fails(EAGAIN, flow_send(&flow, 1, MSG_DONTWAIT));
	flow_drain(&flow);
	flow_put(&flow, KIB(100));
	flow_drain(&flow);
}

static void small_buffers_stop_a_sender_soon(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair pair = connected_small(16384);
		struct flow flow = flow_of(&pair, side);

		assert_in_range(flow_fill(&flow, TOO_MUCH), 1000, MIB(1));
		flow_drain(&flow);
		close_pair(&pair);
	}
}

static void blocked_sender_goes_on_when_read(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair pair = connected_small(65536);
		struct flow flow = flow_of(&pair, side);
		size_t len = MIB(6);
		struct call call;

		send_begin(&call, flow.from, flow_next(&flow, len), len, 0);
		flow_take(&flow, len);
		call_returns(&call, len);
		close_pair(&pair);
	}
}

/* No deadlock: each message is no more than its sender's buffer holds. */
static void both_send_much_before_they_read(void)
{
	struct pair pair = connected();
	struct flow flows[2];

	for (int side = 0; side < 2; side++) {
		flows[side] = flow_of(&pair, side);
		set_option(pair.end[side], SOL_SOCKET, SO_SNDBUFFORCE, MIB(1));
	}
	for (int side = 0; side < 2; side++) {
		void *bytes = flow_next(&flows[side], KIB(500));

		returns(KIB(500), send(pair.end[side], bytes, KIB(500), 0));
		flow_sent(&flows[side], KIB(500));
	}
	for (int side = 0; side < 2; side++)
		flow_drain(&flows[side]);
}

static void sndtimeo_ends_send_with_what_was_taken(void)
{
	const struct timeval timeout = { .tv_usec = 60000 };
	struct pair pair = connected_small(65536);
	struct flow flow = flow_of(&pair, CLIENT);
	size_t len = MIB(12);
	ssize_t n;

	succeeds(setsockopt(flow.from, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)));
	n = succeeds(send(flow.from, flow_next(&flow, len), len, 0));
	assert_in_range(n, 1000, len - 1);
	flow_sent(&flow, n);
	while ((n = flow_send(&flow, 60000, 0)) > 0)
		;
	assert_int_equal(n, -1);
	assert_int_equal(errno, EAGAIN);
	flow_drain(&flow);
}

static void reader_of_single_bytes_frees_its_sender(void)
{
	struct pair pair = connected_small(4096);
	struct flow flow = flow_of(&pair, SERVER);
	struct pump pump;

	pump_in(&pump, &flow, KIB(40), 3000);
	for (int i = 0; i < 3000; i++)
		returns(1, flow_recv(&flow, 1, 0));
	flow_take(&flow, KIB(40) - 3000);
	pump_join(&pump);
}

const struct test pressure_tests[] = {
	TEST_WAYS(stalled_reader_stops_its_sender),
	TEST(small_buffers_stop_a_sender_soon),
	TEST(blocked_sender_goes_on_when_read),
	TEST(both_send_much_before_they_read),
	TEST(sndtimeo_ends_send_with_what_was_taken),
	TEST(reader_of_single_bytes_frees_its_sender),
	{ 0 },
};
