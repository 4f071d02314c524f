// SPDX-License-Identifier: GPL-2.0-only
/* close() and what the peer is told by it: an end, or a reset. */
#include "sockets.h"

static void reset_at_close(int fd)
{
	const struct linger linger = { .l_onoff = 1 };

	succeeds(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(fd);
}

static void hear_reset(int fd)
{
	char byte;

	fails(ECONNRESET, recv(fd, &byte, 1, 0));
}

static void close_right_after_write_loses_nothing(void)
{
	for (unsigned int i = 0; i < 40; i++) {
		struct pair pair = connected();
		struct flow flow = flow_of(&pair, i & 1);

		flow_put(&flow, 1 + i * 1777 % 60000);
		close(flow.from);
		flow_drain(&flow);
		flow_end(&flow);
		close(flow.to);
	}
}

static void close_of_a_full_socket_loses_nothing(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_fill_up(&flow);
	close(from);
	flow_drain(&flow);
	flow_end(&flow);
}

static void close_with_all_read_is_an_orderly_end(int from, int to)
{
	say(from, "all of it");
	hear(to, "all of it");
	close(to);
	hear_end(from);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_ERROR), 0);
}

static void close_with_unread_data_resets_the_peer(int from, int to)
{
	say(from, "nobody reads this");
	await(has_bytes(to, 17));
	close(to);
	await(has_events(from, POLLIN));
	hear_reset(from);
}

static void close_with_a_part_unread_resets_the_peer(int from, int to)
{
	say(from, "some of this is read");
	await(has_bytes(to, 20));
	hear(to, "some");
	close(to);
	await(has_events(from, POLLIN));
	hear_reset(from);
}

static void linger_of_zero_resets_the_peer(int from, int to)
{
	reset_at_close(to);
	await(has_events(from, POLLERR | POLLHUP));
	hear_reset(from);
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
	hear_end(from);
}

static void linger_waits_for_what_was_sent(int from, int to)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 30 };
	struct flow flow = flow_between(from, to);
	struct pump pump;

	pump_out(&pump, &flow, KIB(300), 10000);
	succeeds(setsockopt(from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	flow_put(&flow, KIB(300));
	close(from);
	pump_join(&pump);
	flow_end(&flow);
}

static void data_from_before_a_reset_can_be_read(int from, int to)
{
	say(from, "before");
	await(has_bytes(to, 6));
	reset_at_close(from);
	await(has_events(to, POLLERR));
	hear(to, "before");
	hear_reset(to);
	hear_end(to);
}

static void so_error_tells_of_a_reset_once(int from, int to)
{
	reset_at_close(from);
	await(has_events(to, POLLERR));
	assert_int_equal(get_option(to, SOL_SOCKET, SO_ERROR), ECONNRESET);
	assert_int_equal(get_option(to, SOL_SOCKET, SO_ERROR), 0);
	hear_end(to);
	fails(EPIPE, send(to, "a", 1, MSG_NOSIGNAL));
}

static void blocked_reader_is_told_of_a_reset(int from, int to)
{
	struct call call;

	recv_begin(&call, to, 100, 0);
	reset_at_close(from);
	call_fails(&call, ECONNRESET);
}

static void blocked_sender_is_told_of_a_reset(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	send_begin_full(&call, &flow, MIB(16));
	reset_at_close(to);
	call_join(&call);
	/* Unless it had taken some more: see the next case. */
	if (call.returned < 0)
		assert_int_equal(call.error, ECONNRESET);
	else
		assert_int_equal(send(from, "a", 1, MSG_NOSIGNAL), -1);
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
}

/* What had been taken is said first, and the error then. */
static void reset_that_cuts_a_send_short_is_told_of_next(int from, int to)
{
	struct flow flow = flow_between(from, to);
	size_t len = MIB(16);
	struct call call;

	send_begin(&call, from, flow_next(&flow, len), len, 0);
	reset_at_close(to);
	call_join(&call);
	assert_in_range(call.returned, 1, len - 1);
	fails(ECONNRESET, send(from, "a", 1, MSG_NOSIGNAL));
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
}

static void send_to_a_closed_peer_fails_in_the_end(int from, int to)
{
	say(from, "word");
	hear(to, "word");
	close(to);
	hear_end(from);
	say(from, "this is answered by a reset");
	await(has_events(from, POLLERR | POLLHUP));
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
	assert_int_equal(get_option(from, SOL_SOCKET, SO_ERROR), 0);
}

static void recv_in_progress_survives_close(int from, int to)
{
	struct call call;

	recv_begin(&call, to, 100, 0);
	close(to);
	say(from, "still heard");
	call_returns(&call, 11);
	assert_memory_equal(call.buf, "still heard", 11);
	hear_end(from);
}

/* ---- children that nobody has accepted -------------------------------------- */

static void closed_listener_resets_its_children(void)
{
	int listener = listening(8), clients[6];

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = client_of(listener);
		connect_to(clients[i], listener);
		if (i & 1)
			say(clients[i], "nobody reads this");
	}
	/* The handshake of the last one is over at the listener's end, too. */
	await(has_events(listener, POLLIN));
	close(listener);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		await(has_events(clients[i], POLLERR | POLLHUP));
		hear_reset(clients[i]);
		close(clients[i]);
	}
}

static void data_from_before_accept_is_there(void)
{
	int listener = listening(8), client = client_of(listener), server;
	struct flow flow;

	connect_to(client, listener);
	flow = flow_between(client, -1);
	flow_put(&flow, 5000);
	server = flow.to = accept_from(listener);
	flow_put(&flow, 5000);
	flow_drain(&flow);
	say(server, "hello");
	hear(client, "hello");
}

static void client_that_closed_before_accept_is_heard_whole(void)
{
	int listener = listening(8);

	for (int i = 0; i < 20; i++) {
		int client = client_of(listener);
		struct flow flow = flow_between(client, -1);

		connect_to(client, listener);
		flow_put(&flow, 1 + 777 * i);
		close(client);
		flow.to = accept_from(listener);
		flow_drain(&flow);
		flow_end(&flow);
		close(flow.to);
	}
}

static void client_that_reset_before_accept_is_told_so(void)
{
	int listener = listening(8), client = client_of(listener), server;

	connect_to(client, listener);
	await(has_events(listener, POLLIN));
	reset_at_close(client);
	server = accept_from(listener);
	await(has_events(server, POLLERR));
	hear_reset(server);
}

const struct test close_tests[] = {
	TEST(close_right_after_write_loses_nothing),
	TEST_WAYS(close_of_a_full_socket_loses_nothing),
	TEST_WAYS(close_with_all_read_is_an_orderly_end),
	TEST_WAYS(close_with_unread_data_resets_the_peer),
	TEST_WAYS(close_with_a_part_unread_resets_the_peer),
	TEST_WAYS(linger_of_zero_resets_the_peer),
	TEST_WAYS(linger_waits_for_what_was_sent),
	TEST_WAYS(data_from_before_a_reset_can_be_read),
	TEST_WAYS(so_error_tells_of_a_reset_once),
	TEST_WAYS(blocked_reader_is_told_of_a_reset),
	TEST_WAYS(blocked_sender_is_told_of_a_reset),
	TEST_WAYS(reset_that_cuts_a_send_short_is_told_of_next),
	TEST_WAYS(send_to_a_closed_peer_fails_in_the_end),
	TEST_WAYS(recv_in_progress_survives_close),
	TEST(closed_listener_resets_its_children),
	TEST(data_from_before_accept_is_there),
	TEST(client_that_closed_before_accept_is_heard_whole),
	TEST(client_that_reset_before_accept_is_told_so),
	{ 0 },
};
