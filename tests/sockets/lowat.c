// SPDX-License-Identifier: GPL-2.0-only
/* SO_RCVLOWAT: what is too little to be told of. */
#include <sys/epoll.h>

#include "sockets.h"

static void set_lowat(int fd, int bytes)
{
	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, bytes);
}

static void poll_waits_for_rcvlowat(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_lowat(to, 1000);
	flow_put(&flow, 600);
	await(has_bytes(to, 600));
	assert_int_equal(events_of(to, POLLIN), 0);
	flow_put(&flow, 399);
	await(has_bytes(to, 999));
	assert_int_equal(events_of(to, POLLIN), 0);
	flow_put(&flow, 1);
	await(has_bytes(to, 1000));
	assert_int_equal(events_of(to, POLLIN), POLLIN);
	flow_drain(&flow);
}

/* An epoll for @events of a socket that has less than it is to be told of. */
static int watching_too_little(struct flow *flow, uint32_t events)
{
	struct epoll_event event = { .events = events };
	int epoll = succeeds(epoll_create1(0));

	set_lowat(flow->to, 1000);
	succeeds(epoll_ctl(epoll, EPOLL_CTL_ADD, flow->to, &event));
	flow_put(flow, 600);
	await(has_bytes(flow->to, 600));
	returns(0, epoll_wait(epoll, &event, 1, 0));
	return epoll;
}

static void edge_comes_with_rcvlowat_only(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int epoll = watching_too_little(&flow, EPOLLIN | EPOLLET);
	struct epoll_event event;

	flow_put(&flow, 600);
	returns(1, epoll_wait(epoll, &event, 1, await_ms));
	flow_drain(&flow);
	close(epoll);
}

static void recv_waits_for_rcvlowat(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	set_lowat(to, 1000);
	recv_begin(&call, to, 2000, 0);
	flow_put(&flow, 600);
	await(call.task.done || has_bytes(to, 600));
	call_settles(&call);
	flow_put(&flow, 600);
	call_join(&call);
	assert_in_range(call.returned, 1000, 1200);
	flow_check(&flow, call.buf, call.returned);
	flow_drain(&flow);
}

static void dontwait_takes_less_than_rcvlowat(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_lowat(to, 1000);
	flow_put(&flow, 600);
	await(has_bytes(to, 600));
	returns(600, flow_recv(&flow, 2000, MSG_DONTWAIT));
}

static void the_end_is_told_of_whatever_rcvlowat_is(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_lowat(to, 1000);
	flow_put(&flow, 600);
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLIN | POLLRDHUP));
	returns(600, flow_recv(&flow, 2000, 0));
	flow_end(&flow);
}

static void lower_rcvlowat_wakes_who_waits(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int epoll = watching_too_little(&flow, EPOLLIN);
	struct epoll_event event;

	set_lowat(to, 500);
	returns(1, epoll_wait(epoll, &event, 1, 0));
	flow_drain(&flow);
	close(epoll);
}

/* ---- a sum of what comes by two ways -------------------------------------------- */

#define WAYS 2

/* What an engine takes, and what it leaves to TCP. */
static void put_by(struct flow *flow, int way, size_t len)
{
	returns(len, flow_send(flow, len, way ? MSG_ZEROCOPY : 0));
}

static struct flow flow_of_two_ways(int from, int to)
{
	warm_up(from, to);
	/* Nothing of the one is held back for the other. */
	set_option(from, IPPROTO_TCP, TCP_NODELAY, 1);
	set_lowat(to, 1000);
	return flow_between(from, to);
}

static void recv_wakes_whichever_way_the_rest_comes(int from, int to)
{
	struct flow flow = flow_of_two_ways(from, to);
	struct call call;

	for (int last = 0; last < WAYS; last++) {
		recv_begin(&call, to, 2000, 0);
		put_by(&flow, !last, 600);
		await(call.task.done || has_bytes(to, 600));
		call_settles(&call);
		assert_false(call.task.done);
		put_by(&flow, last, 600);
		call_join(&call);
		assert_in_range(call.returned, 1000, 1200);
		flow_check(&flow, call.buf, call.returned);
		flow_drain(&flow);
	}
}

static void run_poll(void *arg)
{
	struct pollfd *poller = arg;

	returns(1, poll(poller, 1, await_ms));
}

static void poll_wakes_whichever_way_the_rest_comes(int from, int to)
{
	struct flow flow = flow_of_two_ways(from, to);

	for (int last = 0; last < WAYS; last++) {
		struct pollfd poller = { .fd = to, .events = POLLIN };
		struct task task;

		task_start(&task, run_poll, &poller);
		await(sleeps_in(task.tid, SYS_poll));
		put_by(&flow, !last, 600);
		await(has_bytes(to, 600));
		await(sleeps_in(task.tid, SYS_poll));
		put_by(&flow, last, 600);
		task_join(&task);
		assert_int_equal(poller.revents, POLLIN);
		flow_drain(&flow);
	}
}

static void edge_comes_whichever_way_the_rest_comes(int from, int to)
{
	struct flow flow = flow_of_two_ways(from, to);

	for (int last = 0; last < WAYS; last++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLET };
		int epoll = succeeds(epoll_create1(0));

		succeeds(epoll_ctl(epoll, EPOLL_CTL_ADD, to, &event));
		put_by(&flow, !last, 600);
		await(has_bytes(to, 600));
		returns(0, epoll_wait(epoll, &event, 1, 0));
		put_by(&flow, last, 600);
		returns(1, epoll_wait(epoll, &event, 1, await_ms));
		flow_drain(&flow);
		close(epoll);
	}
}

static void sums_of_many_sizes_wake(int from, int to)
{
	struct flow flow = flow_of_two_ways(from, to);
	unsigned int seed = 41;
	struct call call;

	for (int i = 0; i < 20; i++) {
		size_t sum = 0;

		/* Asleep before anything comes: TCP forgets what a reader has already. */
		recv_begin(&call, to, 20000, 0);
		while (sum < 1000) {
			size_t len = 1 + random_below(&seed, 700);

			put_by(&flow, random_below(&seed, WAYS), len);
			sum += len;
		}
		call_join(&call);
		assert_in_range(call.returned, 1000, sum);
		flow_check(&flow, call.buf, call.returned);
		flow_drain(&flow);
		free(call.buf);
	}
}

const struct test lowat_tests[] = {
	TEST_WAYS(poll_waits_for_rcvlowat),
	TEST_WAYS(edge_comes_with_rcvlowat_only),
	TEST_WAYS(recv_waits_for_rcvlowat),
	TEST_WAYS(dontwait_takes_less_than_rcvlowat),
	TEST_WAYS(the_end_is_told_of_whatever_rcvlowat_is),
	TEST_WAYS(lower_rcvlowat_wakes_who_waits),
	TEST_WAYS(recv_wakes_whichever_way_the_rest_comes),
	TEST_WAYS(poll_wakes_whichever_way_the_rest_comes),
	TEST_WAYS(edge_comes_whichever_way_the_rest_comes),
	TEST_WAYS(sums_of_many_sizes_wake),
	{ 0 },
};
