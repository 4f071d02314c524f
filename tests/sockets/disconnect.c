// SPDX-License-Identifier: GPL-2.0-only
/* connect(AF_UNSPEC) while other threads are in calls on the socket or on its peer,
 * and whom their bytes must not come to.
 */
#include "sockets.h"

static void disconnect_ends_a_blocked_recv(int from, int to)
{
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, 100, 0);
	disconnect(to);
	call_fails(&call, EPIPE);
}

static void disconnect_ends_a_blocked_recv_with_what_it_has(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, 1000, MSG_WAITALL);
	flow_put(&flow, 600);
	/* They have come, and the call has taken them. */
	await(unacknowledged(from) == 0 && !has_bytes(to, 600));
	call_settles(&call);
	disconnect(to);
	call_returns(&call, 600);
	flow_check(&flow, call.buf, 600);
}

/* ---- in the middle of a stream ------------------------------------------------- */

static void send_while_possible(void *arg)
{
	struct flow *flow = arg;

	while (flow_send(flow, KIB(64), 0) > 0)
		;
	require(errno == EPIPE || errno == ECONNRESET);
}

static void recv_while_possible(void *arg)
{
	struct flow *flow = arg;

	while (flow_recv(flow, KIB(64), 0) > 0)
		;
}

/* @of: which of the two ends lets go. */
static void let_go(int of, unsigned int naps)
{
	struct pair pair = connected();
	struct flow flow = flow_of(&pair, CLIENT), again;
	int listener = listening(4), fd = of ? flow.to : flow.from;
	struct task sender, reader;

	warm_up(flow.from, flow.to);
	task_start(&reader, recv_while_possible, &flow);
	task_start(&sender, send_while_possible, &flow);
	while (naps--)
		nap();
	disconnect(fd);
	task_join(&sender);
	task_join(&reader);
	connect_to(fd, listener);
	again = flow_between(fd, accept_from(listener));
	flow_put(&again, 30000);
	flow_drain(&again);
	close(again.to);
	close_pair(&pair);
	close(listener);
}

static void reader_may_be_disconnected_in_a_stream(void)
{
	for (unsigned int i = 0; i < 10; i++)
		let_go(1, i % 5);
}

static void sender_may_be_disconnected_in_a_stream(void)
{
	for (unsigned int i = 0; i < 10; i++)
		let_go(0, i % 5);
}

/* ---- with much that waits for room --------------------------------------------- */

#define WAITING MIB(8)

/* The socket's next connection carries its own bytes and no others. */
static void begin_anew(int fd, bool listens)
{
	struct pair next;
	int listener;

	if (listens) {
		listen_on(fd, 4);
		next.end[CLIENT] = client_of(fd);
		connect_to(next.end[CLIENT], fd);
		next.end[SERVER] = accept_from(fd);
	} else {
		listener = listening(4);
		next.end[CLIENT] = fd;
		connect_to(fd, listener);
		next.end[SERVER] = accept_from(listener);
		close(listener);
	}
	for (int i = 0; i < 4; i++) {
		struct flow flow = flow_of(&next, i & 1);

		flow_put(&flow, 30000);
		flow_drain(&flow);
	}
	for (int i = 0; i < 2; i++) {
		succeeds(shutdown(next.end[i], SHUT_WR));
		hear_end(next.end[!i]);
	}
	close_pair(&next);
}

static void reader_begins_anew(int side, bool listens)
{
	struct pair pair = connected();
	struct flow flow = flow_of(&pair, !side);
	struct call call;

	warm_up(flow.from, flow.to);
	send_begin_full(&call, &flow, WAITING);
	disconnect(flow.to);
	begin_anew(flow.to, listens);
	call_join(&call);
	require(call.returned < (ssize_t)WAITING);
	if (call.returned < 0)
		require(call.error == ECONNRESET || call.error == EPIPE);
	assert_int_equal(send(flow.from, "a", 1, MSG_NOSIGNAL), -1);
	close(flow.from);
}

static void rest_of_a_send_is_not_for_the_readers_next_peer(void)
{
	for (int side = 0; side < 2; side++)
		reader_begins_anew(side, false);
}

static void rest_of_a_send_is_not_for_the_readers_children(void)
{
	for (int i = 0; i < 2; i++)
		reader_begins_anew(SERVER, true);
}

static void rest_of_a_send_is_not_for_the_senders_next_peer(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	send_begin_full(&call, &flow, WAITING);
	disconnect(from);
	begin_anew(from, false);
	call_join(&call);
	require(call.returned < (ssize_t)WAITING);
	/* What is read of it is right, then it is cut short. */
	while (flow_recv(&flow, KIB(64), 0) > 0)
		;
	assert_int_equal(errno, ECONNRESET);
}

const struct test disconnect_tests[] = {
	TEST_WAYS(disconnect_ends_a_blocked_recv),
	TEST_WAYS(disconnect_ends_a_blocked_recv_with_what_it_has),
	TEST(reader_may_be_disconnected_in_a_stream),
	TEST(sender_may_be_disconnected_in_a_stream),
	TEST(rest_of_a_send_is_not_for_the_readers_next_peer),
	TEST(rest_of_a_send_is_not_for_the_readers_children),
	TEST_WAYS(rest_of_a_send_is_not_for_the_senders_next_peer),
	{ 0 },
};
