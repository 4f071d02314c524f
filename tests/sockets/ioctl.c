// SPDX-License-Identifier: GPL-2.0-only
/* FIONREAD, SIOCOUTQ, SIOCOUTQNSD, FIONBIO. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "sockets.h"

static int unread(int fd)
{
	int bytes = -1;

	succeeds(ioctl(fd, FIONREAD, &bytes));
	return bytes;
}

static int unsent(int fd)
{
	int bytes = -1;

	succeeds(ioctl(fd, SIOCOUTQNSD, &bytes));
	return bytes;
}

static void fionread_counts_what_is_unread(int from, int to)
{
	struct flow flow = flow_between(from, to);

	assert_int_equal(unread(to), 0);
	flow_put(&flow, 1000);
	flow_put(&flow, 500);
	await(has_bytes(to, 1500));
	assert_int_equal(unread(to), 1500);
	flow_take(&flow, 300);
	assert_int_equal(unread(to), 1200);
	flow_drain(&flow);
	assert_int_equal(unread(to), 0);
}

static void fionread_does_not_count_the_end(int from, int to)
{
	say(from, "abc");
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(to, POLLRDHUP));
	assert_int_equal(unread(to), 3);
	hear(to, "abc");
	assert_int_equal(unread(to), 0);
	hear_end(to);
	assert_int_equal(unread(to), 0);
}

/* As nginx, Java and .NET read. */
static void reading_what_fionread_says_reads_all(int from, int to)
{
	struct flow flow = flow_between(from, to);
	unsigned int seed = 5;

	for (int i = 0; i < 100; i++) {
		int n;

		flow_put(&flow, 1 + random_below(&seed, 5000));
		await(unread(to) > 0);
		n = unread(to);
		returns(n, flow_recv(&flow, n, 0));
	}
	while (flow.taken < flow.sent) {
		await(unread(to) > 0);
		flow_take(&flow, unread(to));
	}
}

static void siocoutq_falls_to_zero_when_all_is_received(int from, int to)
{
	struct flow flow = flow_between(from, to);

	assert_int_equal(unacknowledged(from), 0);
	flow_put(&flow, 30000);
	flow_drain(&flow);
	await(unacknowledged(from) == 0);
}

static void siocoutq_counts_what_a_full_socket_holds(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_fill_up(&flow);
	assert_in_range(unacknowledged(from), 1, flow.sent);
	flow_drain(&flow);
	await(unacknowledged(from) == 0);
}

static void siocoutqnsd_counts_what_is_corked(int from, int to)
{
	set_option(from, IPPROTO_TCP, TCP_CORK, 1);
	say(from, "corked");
	assert_int_equal(unsent(from), 6);
	assert_int_equal(unacknowledged(from), 6);
	set_option(from, IPPROTO_TCP, TCP_CORK, 0);
	hear(to, "corked");
	await(unsent(from) == 0);
}

static void fionbio_and_o_nonblock_are_the_same(int from, int to)
{
	int on = 1;
	char byte;

	succeeds(ioctl(to, FIONBIO, &on));
	assert_true(succeeds(fcntl(to, F_GETFL)) & O_NONBLOCK);
	fails(EAGAIN, recv(to, &byte, 1, 0));
	on = 0;
	succeeds(ioctl(to, FIONBIO, &on));
	say(from, "a");
	hear(to, "a");
}

const struct test ioctl_tests[] = {
	TEST_WAYS(fionread_counts_what_is_unread),
	TEST_WAYS(fionread_does_not_count_the_end),
	TEST_WAYS(reading_what_fionread_says_reads_all),
	TEST_WAYS(siocoutq_falls_to_zero_when_all_is_received),
	TEST_WAYS(siocoutq_counts_what_a_full_socket_holds),
	TEST_WAYS(siocoutqnsd_counts_what_is_corked),
	TEST_WAYS(fionbio_and_o_nonblock_are_the_same),
	{ 0 },
};
