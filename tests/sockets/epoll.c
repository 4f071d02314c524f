// SPDX-License-Identifier: GPL-2.0-only
/* epoll, by level and by edge. */
#include <sys/epoll.h>

#include "sockets.h"

static int new_epoll(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int epoll = succeeds(epoll_create1(EPOLL_CLOEXEC));

	succeeds(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

/* What there is now, 0 if nothing. */
static uint32_t look(int epoll)
{
	struct epoll_event event = { 0 };

	succeeds(epoll_wait(epoll, &event, 1, 0));
	return event.events;
}

/* What comes. */
static uint32_t wait_for(int epoll)
{
	struct epoll_event event = { 0 };

	if (succeeds(epoll_wait(epoll, &event, 1, await_ms)) != 1)
		give_up(__FILE__, __LINE__, "epoll_wait() was not woken within %ld ms", await_ms);
	return event.events;
}

static void modify(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	succeeds(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
}

static void level_reports_until_all_is_read(int from, int to)
{
	int epoll = new_epoll(to, EPOLLIN);

	assert_int_equal(look(epoll), 0);
	say(from, "ab");
	assert_int_equal(wait_for(epoll), EPOLLIN);
	assert_int_equal(look(epoll), EPOLLIN);
	hear(to, "a");
	assert_int_equal(look(epoll), EPOLLIN);
	hear(to, "b");
	assert_int_equal(look(epoll), 0);
	close(epoll);
}

static void edge_reports_each_arrival_once(int from, int to)
{
	int epoll = new_epoll(to, EPOLLIN | EPOLLET);

	assert_int_equal(look(epoll), 0);
	for (int i = 0; i < 5; i++) {
		say(from, "a");
		assert_int_equal(wait_for(epoll), EPOLLIN);
		assert_int_equal(look(epoll), 0);
	}
	hear(to, "aaaaa");
	assert_int_equal(look(epoll), 0);
	close(epoll);
}

static void data_before_the_socket_was_added_is_reported(int from, int to)
{
	int epoll;

	say(from, "early");
	await(has_bytes(to, 5));
	epoll = new_epoll(to, EPOLLIN | EPOLLET);
	assert_int_equal(look(epoll), EPOLLIN);
	assert_int_equal(look(epoll), 0);
	modify(epoll, to, EPOLLIN | EPOLLET);
	assert_int_equal(look(epoll), EPOLLIN);
	hear(to, "early");
	close(epoll);
}

static void oneshot_reports_once_until_rearmed(int from, int to)
{
	int epoll = new_epoll(to, EPOLLIN | EPOLLONESHOT);

	say(from, "a");
	assert_int_equal(wait_for(epoll), EPOLLIN);
	say(from, "b");
	await(has_bytes(to, 2));
	assert_int_equal(look(epoll), 0);
	modify(epoll, to, EPOLLIN | EPOLLONESHOT);
	assert_int_equal(look(epoll), EPOLLIN);
	hear(to, "ab");
	modify(epoll, to, EPOLLIN | EPOLLONESHOT);
	assert_int_equal(look(epoll), 0);
	close(epoll);
}

static void half_close_is_reported_with_the_last_data(int from, int to)
{
	int epoll = new_epoll(to, EPOLLIN | EPOLLRDHUP);

	say(from, "last");
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLRDHUP));
	assert_int_equal(look(epoll), EPOLLIN | EPOLLRDHUP);
	hear(to, "last");
	assert_int_equal(look(epoll), EPOLLIN | EPOLLRDHUP);
	hear_end(to);
	succeeds(shutdown(to, SHUT_WR));
	assert_int_equal(look(epoll), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
	close(epoll);
}

static void edge_reports_the_end_after_the_data(int from, int to)
{
	int epoll = new_epoll(to, EPOLLIN | EPOLLRDHUP | EPOLLET);

	say(from, "a");
	assert_int_equal(wait_for(epoll), EPOLLIN);
	hear(to, "a");
	succeeds(shutdown(from, SHUT_WR));
	assert_int_equal(wait_for(epoll), EPOLLIN | EPOLLRDHUP);
	hear_end(to);
	close(epoll);
}

static void reset_is_reported_unasked(int from, int to)
{
	const struct linger linger = { .l_onoff = 1 };
	int epoll = new_epoll(to, 0);

	succeeds(setsockopt(from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(from);
	assert_int_equal(wait_for(epoll), EPOLLERR | EPOLLHUP);
	close(epoll);
}

static void epoll_in_epoll_reports_data(int from, int to)
{
	int inner = new_epoll(to, EPOLLIN), outer = new_epoll(inner, EPOLLIN);

	assert_int_equal(look(outer), 0);
	say(from, "a");
	assert_int_equal(wait_for(outer), EPOLLIN);
	hear(to, "a");
	assert_int_equal(look(outer), 0);
	close(outer);
	close(inner);
}

/* ---- no wake-up is lost ----------------------------------------------------- */

struct edge {
	struct flow *flow;
	size_t len;
	unsigned long rounds;
};

/* Read until EAGAIN, then wait for the next edge. */
static void edge_reader(void *arg)
{
	struct edge *edge = arg;
	struct flow *flow = edge->flow;
	int epoll = new_epoll(flow->to, EPOLLIN | EPOLLET);

	while (flow->taken < edge->len) {
		wait_for(epoll);
		while (flow_recv(flow, 3000, MSG_DONTWAIT) > 0)
			;
		require(errno == EAGAIN || flow->taken == edge->len);
		edge->rounds++;
	}
	close(epoll);
}

static void edge_reader_misses_nothing(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct edge edge = { .flow = &flow, .len = KIB(400) };
	struct task task;
	unsigned int seed = 3;

	task_start(&task, edge_reader, &edge);
	while (flow.sent < edge.len) {
		size_t len = 1 + random_below(&seed, 2000);

		flow_put(&flow, len < edge.len - flow.sent ? len : edge.len - flow.sent);
		/* Let it fall asleep now and then. */
		if (random_below(&seed, 8) == 0)
			nap();
	}
	task_join(&task);
}

/* Each message only after the one before was read: each needs its own edge. */
static void edge_is_there_for_each_of_300_messages(int from, int to)
{
	int there = new_epoll(to, EPOLLIN | EPOLLET), back = new_epoll(from, EPOLLIN | EPOLLET);

	for (int i = 0; i < 300; i++) {
		say(from, "ping");
		wait_for(there);
		hear(to, "ping");
		say(to, "pong");
		wait_for(back);
		hear(from, "pong");
	}
	close(there);
	close(back);
}

static void edge_writer_is_woken_when_room_returns(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int epoll = new_epoll(from, EPOLLOUT | EPOLLET);

	assert_int_equal(look(epoll), EPOLLOUT);
	assert_int_equal(look(epoll), 0);
	flow_fill_up(&flow);
	look(epoll);
	flow_drain(&flow);
	assert_int_equal(wait_for(epoll), EPOLLOUT);
	close(epoll);
}

static void edge_writer(void *arg)
{
	struct edge *edge = arg;
	struct flow *flow = edge->flow;
	int epoll = new_epoll(flow->from, EPOLLOUT | EPOLLET);

	while (flow->sent < edge->len) {
		size_t left = edge->len - flow->sent;

		wait_for(epoll);
		while (left && flow_send(flow, left < 5000 ? left : 5000, MSG_DONTWAIT) > 0)
			left = edge->len - flow->sent;
		edge->rounds++;
	}
	close(epoll);
}

static void edge_writer_misses_no_room(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair pair = connected_small(16384);
		struct flow flow = flow_of(&pair, side);
		struct edge edge = { .flow = &flow, .len = MIB(1) };
		struct task task;

		task_start(&task, edge_writer, &edge);
		flow_take(&flow, edge.len);
		task_join(&task);
		close_pair(&pair);
	}
}

/* ---- EPOLLEXCLUSIVE ---------------------------------------------------------- */

struct waiter {
	struct task task;
	int epoll;
	atomic_int *woken;
};

static void run_waiter(void *arg)
{
	struct waiter *waiter = arg;
	struct epoll_event event;

	if (epoll_wait(waiter->epoll, &event, 1, -1) == 1)
		++*waiter->woken;
}

static void exclusive_wakes_one_for_each_message(int from, int to)
{
	struct waiter waiters[3];
	atomic_int woken = 0;

	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		waiters[i].epoll = new_epoll(to, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
		waiters[i].woken = &woken;
		task_start(&waiters[i].task, run_waiter, &waiters[i]);
		await(sleeps_in(waiters[i].task.tid, SYS_epoll_wait));
	}
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		say(from, "a");
		await(woken > (int)i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(waiters); i++) {
		task_join(&waiters[i].task);
		close(waiters[i].epoll);
	}
	hear(to, "aaa");
}

const struct test epoll_tests[] = {
	TEST_WAYS(level_reports_until_all_is_read),
	TEST_WAYS(edge_reports_each_arrival_once),
	TEST_WAYS(data_before_the_socket_was_added_is_reported),
	TEST_WAYS(oneshot_reports_once_until_rearmed),
	TEST_WAYS(half_close_is_reported_with_the_last_data),
	TEST_WAYS(edge_reports_the_end_after_the_data),
	TEST_WAYS(reset_is_reported_unasked),
	TEST_WAYS(epoll_in_epoll_reports_data),
	TEST_WAYS(edge_reader_misses_nothing),
	TEST_WAYS(edge_is_there_for_each_of_300_messages),
	TEST_WAYS(edge_writer_is_woken_when_room_returns),
	TEST(edge_writer_misses_no_room),
	TEST_WAYS(exclusive_wakes_one_for_each_message),
	{ 0 },
};
