// SPDX-License-Identifier: GPL-2.0-only
/* Urgent data: one byte, and its place in the stream. */
#include <sys/ioctl.h>

#include "sockets.h"

static bool at_mark(int fd)
{
	int mark = 0;

	succeeds(ioctl(fd, SIOCATMARK, &mark));
	return mark;
}

static void say_urgently(int fd, char byte)
{
	returns(1, send(fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL));
}

static void urgent_byte_is_read_apart(int from, int to)
{
	char byte = 0;

	say(from, "abc");
	say_urgently(from, '!');
	say(from, "def");
	await(has_events(to, POLLPRI));
	returns(1, recv(to, &byte, 1, MSG_OOB));
	assert_int_equal(byte, '!');
	fails(EINVAL, recv(to, &byte, 1, MSG_OOB));
	hear(to, "abc");
	hear(to, "def");
}

static void recv_stops_at_the_mark(int from, int to)
{
	char buf[16];

	say(from, "abc");
	say_urgently(from, '!');
	say(from, "def");
	await(has_events(to, POLLPRI));
	await(has_bytes(to, 3));
	assert_false(at_mark(to));
	returns(3, recv(to, buf, sizeof(buf), 0));
	assert_true(at_mark(to));
	returns(3, recv(to, buf, sizeof(buf), 0));
	assert_memory_equal(buf, "def", 3);
	assert_false(at_mark(to));
}

static void urgent_byte_inline_is_part_of_the_stream(int from, int to)
{
	char buf[16];

	set_option(to, SOL_SOCKET, SO_OOBINLINE, 1);
	say(from, "abc");
	say_urgently(from, '!');
	say(from, "def");
	await(has_events(to, POLLPRI));
	fails(EINVAL, recv(to, buf, 1, MSG_OOB));
	returns(3, recv(to, buf, sizeof(buf), 0));
	assert_true(at_mark(to));
	hear(to, "!def");
	assert_false(at_mark(to));
}

static void urgent_byte_keeps_its_place_among_many(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(to, SOL_SOCKET, SO_OOBINLINE, 1);
	for (int i = 0; i < 10; i++) {
		flow_put(&flow, 1000 + i);
		returns(1, flow_send(&flow, 1, MSG_OOB));
	}
	flow_put(&flow, 1000);
	flow_drain(&flow);
}

static volatile sig_atomic_t urgent;

static void count_urgent(int signal)
{
	urgent++;
}

static void urgent_byte_raises_sigurg(int from, int to)
{
	const struct sigaction action = { .sa_handler = count_urgent, .sa_flags = SA_RESTART };
	char byte;

	urgent = 0;
	succeeds(sigaction(SIGURG, &action, NULL));
	succeeds(fcntl(to, F_SETOWN, getpid()));
	say(from, "a");
	hear(to, "a");
	assert_int_equal(urgent, 0);
	say_urgently(from, '!');
	await(urgent == 1);
	returns(1, recv(to, &byte, 1, MSG_OOB));
	assert_int_equal(byte, '!');
}

static void without_urgent_data_oob_gives_einval(int from, int to)
{
	char byte;

	fails(EINVAL, recv(to, &byte, 1, MSG_OOB));
	say(from, "a");
	await(has_bytes(to, 1));
	fails(EINVAL, recv(to, &byte, 1, MSG_OOB));
	assert_false(at_mark(to));
	assert_int_equal(events_of(to, POLLPRI), 0);
	hear(to, "a");
}

/* The bytes before the mark have gone another way than the mark. */
static void mark_comes_after_what_was_sent_before(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char byte;

	warm_up(from, to);
	flow_put(&flow, 5000);
	await(has_bytes(to, 5000));
	flow_put(&flow, 3000);
	returns(1, flow_send(&flow, 1, MSG_OOB));
	flow_put(&flow, 2000);
	await(has_events(to, POLLPRI));
	while (flow.taken < 8000) {
		assert_false(at_mark(to));
		require(flow_recv(&flow, 60000, 0) > 0);
	}
	/* It was not passed, either. */
	assert_int_equal(flow.taken, 8000);
	assert_true(at_mark(to));
	returns(1, recv(to, &byte, 1, MSG_OOB));
	flow_check(&flow, &byte, 1);
	flow_drain(&flow);
	assert_false(at_mark(to));
}

/* What it has read before it slept ends at the mark, too. */
static void recv_that_waits_for_all_stops_at_the_mark(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, 6000, MSG_WAITALL);
	flow_put(&flow, 3000);
	call_settles(&call);
	returns(1, flow_send(&flow, 1, MSG_OOB));
	flow_put(&flow, 5000);
	call_returns(&call, 3000);
	flow_check(&flow, call.buf, 3000);
	assert_true(at_mark(to));
	free(call.buf);
}

/* A look at them, which has looked at some before the mark came. */
static void peek_of_all_stops_at_the_mark(int from, int to)
{
	struct flow flow = flow_between(from, to), look = flow;
	char buf[6000], byte;
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, sizeof(buf), MSG_PEEK | MSG_WAITALL);
	flow_put(&flow, 3000);
	call_settles(&call);
	returns(1, flow_send(&flow, 1, MSG_OOB));
	flow_put(&flow, 5000);
	call_returns(&call, 3000);
	flow_check(&look, call.buf, 3000);
	assert_false(at_mark(to));
	free(call.buf);
	/* Anew, when all is there. */
	returns(3000, recv(to, buf, sizeof(buf), MSG_PEEK | MSG_WAITALL));
	/* From the mark on it looks at what is behind. */
	flow_take(&flow, 3000);
	assert_true(at_mark(to));
	returns(1, recv(to, &byte, 1, MSG_OOB));
	flow_check(&flow, &byte, 1);
	look = flow;
	returns(4000, recv(to, buf, 4000, MSG_PEEK | MSG_WAITALL));
	flow_check(&look, buf, 4000);
	flow_drain(&flow);
}

static void inline_mark_comes_after_what_was_sent_before(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(to, SOL_SOCKET, SO_OOBINLINE, 1);
	warm_up(from, to);
	for (int i = 0; i < 3; i++) {
		uint64_t mark;

		flow_put(&flow, 5000);
		mark = flow.sent;
		returns(1, flow_send(&flow, 1, MSG_OOB));
		flow_put(&flow, 2000);
		await(has_events(to, POLLPRI));
		while (flow.taken < mark)
			require(flow_recv(&flow, 60000, 0) > 0);
		assert_int_equal(flow.taken, mark);
		assert_true(at_mark(to));
		flow_drain(&flow);
	}
}

const struct test oob_tests[] = {
	TEST_WAYS(urgent_byte_is_read_apart),
	TEST_WAYS(recv_stops_at_the_mark),
	TEST_WAYS(urgent_byte_inline_is_part_of_the_stream),
	TEST_WAYS(urgent_byte_keeps_its_place_among_many),
	TEST_WAYS(mark_comes_after_what_was_sent_before),
	TEST_WAYS(recv_that_waits_for_all_stops_at_the_mark),
	TEST_WAYS(peek_of_all_stops_at_the_mark),
	TEST_WAYS(inline_mark_comes_after_what_was_sent_before),
	TEST_WAYS(urgent_byte_raises_sigurg),
	TEST_WAYS(without_urgent_data_oob_gives_einval),
	{ 0 },
};
