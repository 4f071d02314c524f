// SPDX-License-Identifier: GPL-2.0-only
/* send() and its relatives. */
#include <limits.h>
#include <sys/mman.h>

#include "sockets.h"

static void send_of_nothing_sends_nothing(int from, int to)
{
	char byte;

	returns(0, send(from, "", 0, 0));
	returns(0, write(from, "", 0));
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	say(from, "a");
	returns(0, send(from, "", 0, 0));
	say(from, "b");
	hear(to, "ab");
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
}

static void writev_gathers_its_parts(int from, int to)
{
	struct iovec parts[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 }, { "three", 5 } };

	returns(11, writev(from, parts, ARRAY_SIZE(parts)));
	hear(to, "onetwothree");
}

static void sendmsg_of_1024_parts_arrives_whole(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct iovec parts[IOV_MAX];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = IOV_MAX };
	char *bytes = flow_next(&flow, IOV_MAX * 11);

	for (int i = 0; i < IOV_MAX; i++)
		parts[i] = (struct iovec){ bytes + 11 * i, 11 };
	returns(IOV_MAX * 11, sendmsg(from, &msg, 0));
	flow_sent(&flow, IOV_MAX * 11);
	flow_drain(&flow);
}

static void sendmmsg_sends_each_message(int from, int to)
{
	struct mmsghdr msgs[3] = {};
	struct iovec parts[] = { { "first ", 6 }, { "second ", 7 }, { "third", 5 } };

	for (int i = 0; i < 3; i++) {
		msgs[i].msg_hdr.msg_iov = &parts[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	returns(3, sendmmsg(from, msgs, 3, 0));
	assert_int_equal(msgs[1].msg_len, 7);
	hear(to, "first second third");
}

static void bytes_sent_one_by_one_arrive_in_order(int from, int to)
{
	struct flow flow = flow_between(from, to);

	set_option(from, IPPROTO_TCP, TCP_NODELAY, 1);
	for (int i = 0; i < 700; i++)
		flow_put(&flow, 1);
	flow_drain(&flow);
}

static void one_send_of_1_mib_arrives_whole(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char *bytes = flow_next(&flow, MIB(1));
	struct pump pump;

	pump_out(&pump, &flow, MIB(1), KIB(64));
	returns(MIB(1), send(from, bytes, MIB(1), 0));
	pump_join(&pump);
}

static void the_buffer_is_the_callers_again_after_send(int from, int to)
{
	char buf[] = "before";

	returns(6, send(from, buf, 6, 0));
	memcpy(buf, "after!", 6);
	hear(to, "before");
}

static void bad_source_gives_efault_and_sends_nothing(int from, int to)
{
	char byte;

	fails(EFAULT, send(from, (void *)16, 100, 0));
	fails(EFAULT, send(from, (void *)16, KIB(200), 0));
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	say(from, "still here");
	hear(to, "still here");
}

/* Whatever part of it is taken: it is what send() says. */
static void half_bad_source_sends_what_it_says(int from, int to)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *map =
		mmap(NULL, 17 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct flow flow = flow_between(from, to);
	ssize_t n;

	require(map != MAP_FAILED);
	fill(map, 16 * page, flow.stream, 0);
	succeeds(mprotect(map + 16 * page, page, PROT_NONE));
	n = send(from, map, 17 * page, 0);
	if (n < 0)
		assert_int_equal(errno, EFAULT);
	assert_in_range(n + 1, 0, 16 * page + 1);
	flow_sent(&flow, n > 0 ? n : 0);
	flow_put(&flow, 1000);
	flow_drain(&flow);
	succeeds(shutdown(from, SHUT_WR));
	flow_end(&flow);
	munmap(map, 17 * page);
}

static void msg_more_is_held_back_for_the_rest(int from, int to)
{
	char byte;

	returns(5, send(from, "head ", 5, MSG_MORE));
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	returns(5, send(from, "body ", 5, MSG_MORE));
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	say(from, "tail");
	hear(to, "head body tail");
}

static void cork_holds_back_until_it_is_pulled(int from, int to)
{
	char byte;

	set_option(from, IPPROTO_TCP, TCP_CORK, 1);
	say(from, "head ");
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	say(from, "tail");
	fails(EAGAIN, recv(to, &byte, 1, MSG_DONTWAIT));
	set_option(from, IPPROTO_TCP, TCP_CORK, 0);
	hear(to, "head tail");
}

static void what_is_corked_goes_out_with_the_end(int from, int to)
{
	set_option(from, IPPROTO_TCP, TCP_CORK, 1);
	say(from, "corked ");
	returns(4, send(from, "more", 4, MSG_MORE));
	succeeds(shutdown(from, SHUT_WR));
	hear(to, "corked more");
	hear_end(to);
}

/* ---- SIGPIPE --------------------------------------------------------------- */

static volatile sig_atomic_t pipes;

static void count_pipe(int signal)
{
	pipes++;
}

static void send_without_a_peer_raises_sigpipe(int from, int to)
{
	const struct sigaction action = { .sa_handler = count_pipe };

	succeeds(sigaction(SIGPIPE, &action, NULL));
	succeeds(shutdown(from, SHUT_WR));
	pipes = 0;
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
	assert_int_equal(pipes, 0);
	fails(EPIPE, send(from, "a", 1, 0));
	assert_int_equal(pipes, 1);
	fails(EPIPE, write(from, "a", 1));
	assert_int_equal(pipes, 2);
}

const struct test write_tests[] = {
	TEST_WAYS(send_of_nothing_sends_nothing),
	TEST_WAYS(writev_gathers_its_parts),
	TEST_WAYS(sendmsg_of_1024_parts_arrives_whole),
	TEST_WAYS(sendmmsg_sends_each_message),
	TEST_WAYS(bytes_sent_one_by_one_arrive_in_order),
	TEST_WAYS(one_send_of_1_mib_arrives_whole),
	TEST_WAYS(the_buffer_is_the_callers_again_after_send),
	TEST_WAYS(bad_source_gives_efault_and_sends_nothing),
	TEST_WAYS(half_bad_source_sends_what_it_says),
	TEST_WAYS(msg_more_is_held_back_for_the_rest),
	TEST_WAYS(cork_holds_back_until_it_is_pulled),
	TEST_WAYS(what_is_corked_goes_out_with_the_end),
	TEST_WAYS(send_without_a_peer_raises_sigpipe),
	{ 0 },
};
