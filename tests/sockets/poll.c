// SPDX-License-Identifier: GPL-2.0-only
/* poll() and select(). */
#include <sys/select.h>

#include "sockets.h"

#define ALL (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)

/* One poll() in a thread of its own. */
struct sleeper {
	struct task task;
	struct pollfd poller;
	int returned;
};

static void run_poll(void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->returned = poll(&sleeper->poller, 1, -1);
}

static void poll_begin(struct sleeper *sleeper, int fd, short events)
{
	*sleeper = (struct sleeper){ .poller = { .fd = fd, .events = events } };
	task_start(&sleeper->task, run_poll, sleeper);
	await(sleeps_in(sleeper->task.tid, SYS_poll));
}

static void poll_says(struct sleeper *sleeper, short events)
{
	task_join(&sleeper->task);
	require(sleeper->returned == 1);
	if (sleeper->poller.revents != events)
		give_up(__FILE__, __LINE__, "poll() says %#x, expected %#x",
			sleeper->poller.revents, events);
}

static void new_connection_is_writable_only(int from, int to)
{
	assert_int_equal(events_of(from, ALL), POLLOUT);
	assert_int_equal(events_of(to, ALL), POLLOUT);
}

static void poll_is_silent_once_all_is_read(int from, int to)
{
	say(from, "ab");
	await(has_events(to, POLLIN));
	hear(to, "a");
	assert_int_equal(events_of(to, POLLIN), POLLIN);
	hear(to, "b");
	assert_int_equal(events_of(to, POLLIN), 0);
}

static void poll_sleeper_is_woken_by_data(int from, int to)
{
	struct sleeper sleeper;

	poll_begin(&sleeper, to, POLLIN | POLLRDNORM);
	say(from, "a");
	poll_says(&sleeper, POLLIN | POLLRDNORM);
	hear(to, "a");
}

static void poll_sleeper_is_woken_by_the_end(int from, int to)
{
	struct sleeper sleeper;

	poll_begin(&sleeper, to, POLLIN);
	succeeds(shutdown(from, SHUT_WR));
	poll_says(&sleeper, POLLIN);
	hear_end(to);
}

static void poll_sleeper_is_woken_by_a_reset(int from, int to)
{
	const struct linger linger = { .l_onoff = 1 };
	struct sleeper sleeper;

	poll_begin(&sleeper, to, POLLIN);
	succeeds(setsockopt(from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(from);
	poll_says(&sleeper, POLLIN | POLLERR | POLLHUP);
}

static void several_poll_sleepers_are_all_woken(int from, int to)
{
	struct sleeper sleepers[4];

	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
		poll_begin(&sleepers[i], to, POLLIN);
	say(from, "a");
	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
		poll_says(&sleepers[i], POLLIN);
	hear(to, "a");
}

static void half_close_of_the_peer_is_rdhup_not_hup(int from, int to)
{
	say(from, "last");
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLRDHUP));
	assert_int_equal(events_of(to, ALL), POLLIN | POLLOUT | POLLRDHUP);
	hear(to, "last");
	assert_int_equal(events_of(to, ALL), POLLIN | POLLOUT | POLLRDHUP);
	hear_end(to);
	assert_int_equal(events_of(to, ALL), POLLIN | POLLOUT | POLLRDHUP);
}

static void both_directions_closed_is_hup(int from, int to)
{
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLRDHUP));
	assert_int_equal(events_of(from, POLLHUP), 0);
	succeeds(shutdown(to, SHUT_WR));
	assert_int_equal(events_of(to, POLLHUP), POLLHUP);
	await(has_events(from, POLLHUP | POLLIN | POLLRDHUP));
}

static void pollout_goes_and_comes_back_with_room(int from, int to)
{
	struct flow flow = flow_between(from, to);

	assert_int_equal(events_of(from, POLLOUT), POLLOUT);
	flow_fill_up(&flow);
	assert_int_equal(events_of(from, POLLOUT), 0);
	flow_drain(&flow);
	await(has_events(from, POLLOUT));
	flow_put(&flow, 100);
	flow_drain(&flow);
}

static void poll_sleeper_is_woken_by_room(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct sleeper sleeper;

	flow_fill_up(&flow);
	poll_begin(&sleeper, from, POLLOUT);
	flow_drain(&flow);
	poll_says(&sleeper, POLLOUT);
}

static void select_tells_readable_and_writable(int from, int to)
{
	struct timeval timeout = { .tv_sec = 30 };
	fd_set readable, writable;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(to, &readable);
	FD_SET(to, &writable);
	returns(1, select(to + 1, &readable, &writable, NULL, &timeout));
	assert_false(FD_ISSET(to, &readable));
	assert_true(FD_ISSET(to, &writable));
	say(from, "a");
	FD_ZERO(&readable);
	FD_SET(to, &readable);
	returns(1, select(to + 1, &readable, NULL, NULL, &timeout));
	assert_true(FD_ISSET(to, &readable));
	hear(to, "a");
	timeout = (struct timeval){ 0 };
	returns(0, select(to + 1, &readable, NULL, NULL, &timeout));
}

/* Nonblocking ends as most servers have them: poll(), then read or write. */
static void polled_stream_is_right(int from, int to)
{
	struct flow flow = flow_between(from, to);
	unsigned int seed = 7;

	while (flow.taken < KIB(512)) {
		struct pollfd pollers[] = { { .fd = from }, { .fd = to, .events = POLLIN } };

		if (flow.sent < KIB(512))
			pollers[0].events = POLLOUT;
		succeeds(poll(pollers, 2, -1));
		if (pollers[0].revents)
			flow_send(&flow, 1 + random_below(&seed, KIB(20)), MSG_DONTWAIT);
		if (pollers[1].revents)
			succeeds(flow_recv(&flow, 1 + random_below(&seed, KIB(20)), MSG_DONTWAIT));
	}
	flow_drain(&flow);
}

const struct test poll_tests[] = {
	TEST_WAYS(new_connection_is_writable_only),
	TEST_WAYS(poll_is_silent_once_all_is_read),
	TEST_WAYS(poll_sleeper_is_woken_by_data),
	TEST_WAYS(poll_sleeper_is_woken_by_the_end),
	TEST_WAYS(poll_sleeper_is_woken_by_a_reset),
	TEST_WAYS(several_poll_sleepers_are_all_woken),
	TEST_WAYS(half_close_of_the_peer_is_rdhup_not_hup),
	TEST_WAYS(both_directions_closed_is_hup),
	TEST_WAYS(pollout_goes_and_comes_back_with_room),
	TEST_WAYS(poll_sleeper_is_woken_by_room),
	TEST_WAYS(select_tells_readable_and_writable),
	TEST_WAYS(polled_stream_is_right),
	{ 0 },
};
