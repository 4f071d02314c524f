// SPDX-License-Identifier: GPL-2.0-only
/* Options of connected sockets: accepted, kept, and no byte lost over them. */
#include "sockets.h"

static void exchange(int from, int to)
{
	struct flow there = flow_between(from, to), back = flow_between(to, from);

	for (int i = 0; i < 3; i++) {
		flow_put(&there, 4000);
		flow_drain(&there);
		flow_put(&back, 4000);
		flow_drain(&back);
	}
}

static void is_kept(int fd, int level, int name, int value)
{
	int kept;

	set_option(fd, level, name, value);
	kept = get_option(fd, level, name);
	if (kept != value)
		give_up(__FILE__, __LINE__, "option %d of level %d was set to %d and is %d", name,
			level, value, kept);
}

static void socket_says_it_is_tcp(int from, int to)
{
	exchange(from, to);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_ACCEPTCONN), 0);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_ERROR), 0);
	assert_in_range(get_option(from, IPPROTO_TCP, TCP_MAXSEG), 500, 65535);
}

static void tcp_info_follows_the_connection(int from, int to)
{
	assert_int_equal(tcp_state(from), TCP_ESTABLISHED);
	assert_int_equal(tcp_state(to), TCP_ESTABLISHED);
	exchange(from, to);
	assert_int_equal(tcp_state(from), TCP_ESTABLISHED);
	succeeds(shutdown(from, SHUT_WR));
	await(tcp_state(to) == TCP_CLOSE_WAIT);
	await(tcp_state(from) == TCP_FIN_WAIT2);
	say(to, "reply");
	hear(from, "reply");
	succeeds(shutdown(to, SHUT_WR));
	await(tcp_state(to) == TCP_CLOSE);
}

static void nodelay_and_quickack_are_accepted(int from, int to)
{
	is_kept(from, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(to, IPPROTO_TCP, TCP_QUICKACK, 1);
	exchange(from, to);
	is_kept(from, IPPROTO_TCP, TCP_NODELAY, 0);
	set_option(to, IPPROTO_TCP, TCP_QUICKACK, 0);
	exchange(from, to);
}

static void keepalive_options_are_accepted(int from, int to)
{
	is_kept(from, SOL_SOCKET, SO_KEEPALIVE, 1);
	is_kept(from, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	is_kept(from, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	is_kept(from, IPPROTO_TCP, TCP_KEEPCNT, 3);
	exchange(from, to);
}

static void user_timeout_and_tos_are_accepted(int from, int to)
{
	bool inet6 = get_option(from, SOL_SOCKET, SO_DOMAIN) == AF_INET6;

	is_kept(from, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	is_kept(from, inet6 ? IPPROTO_IPV6 : IPPROTO_IP, inet6 ? IPV6_TCLASS : IP_TOS, 0x10);
	is_kept(from, SOL_SOCKET, SO_PRIORITY, 4);
	exchange(from, to);
}

static void small_buffers_carry_much(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair pair = connected_small(4096);
		struct flow flow = flow_of(&pair, side);
		struct pump pump;

		pump_in(&pump, &flow, KIB(500), 30000);
		flow_take(&flow, KIB(500));
		pump_join(&pump);
		close_pair(&pair);
	}
}

static void buffers_may_change_size_with_data_in_them(int from, int to)
{
	struct flow flow = flow_between(from, to);

	flow_put(&flow, 30000);
	set_option(to, SOL_SOCKET, SO_RCVBUF, 4096);
	set_option(from, SOL_SOCKET, SO_SNDBUF, 4096);
	flow_take(&flow, 10000);
	set_option(to, SOL_SOCKET, SO_RCVBUF, 200000);
	set_option(from, SOL_SOCKET, SO_SNDBUF, 200000);
	flow_put(&flow, 30000);
	flow_drain(&flow);
}

static void nonblocking_may_be_switched_at_any_time(int from, int to)
{
	struct call call;
	char byte;

	set_nonblocking(to, true);
	fails(EAGAIN, recv(to, &byte, 1, 0));
	set_nonblocking(to, false);
	recv_begin(&call, to, 10, 0);
	set_nonblocking(to, true);
	fails(EAGAIN, recv(to, &byte, 1, 0));
	say(from, "a");
	call_returns(&call, 1);
	fails(EAGAIN, recv(to, &byte, 1, 0));
}

static void congestion_control_may_change_under_way(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char name[16] = "";
	socklen_t len = sizeof(name);

	flow_put(&flow, 10000);
	succeeds(setsockopt(from, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	succeeds(getsockopt(from, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	assert_string_equal(name, "reno");
	flow_put(&flow, 10000);
	flow_drain(&flow);
	exchange(from, to);
}

/* What the listener has, its children have. */
static void children_have_their_listeners_options(void)
{
	int listener = listening(8), client = client_of(listener), server;
	struct flow flow;

	set_option(listener, SOL_SOCKET, SO_RCVLOWAT, 100);
	set_option(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(listener, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	connect_to(client, listener);
	server = accept_from(listener);
	assert_int_equal(get_option(server, SOL_SOCKET, SO_RCVLOWAT), 100);
	assert_int_equal(get_option(server, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_option(server, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_option(server, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	flow = flow_between(client, server);
	flow_put(&flow, 1000);
	flow_drain(&flow);
}

static void notsent_lowat_does_not_stop_a_stream(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pump pump;

	is_kept(from, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096);
	pump_in(&pump, &flow, KIB(200), 10000);
	flow_take(&flow, KIB(200));
	pump_join(&pump);
	await(has_events(from, POLLOUT));
}

const struct test options_tests[] = {
	TEST_WAYS(socket_says_it_is_tcp),
	TEST_WAYS(tcp_info_follows_the_connection),
	TEST_WAYS(nodelay_and_quickack_are_accepted),
	TEST_WAYS(keepalive_options_are_accepted),
	TEST_WAYS(user_timeout_and_tos_are_accepted),
	TEST(small_buffers_carry_much),
	TEST_WAYS(buffers_may_change_size_with_data_in_them),
	TEST_WAYS(nonblocking_may_be_switched_at_any_time),
	TEST_WAYS(congestion_control_may_change_under_way),
	TEST(children_have_their_listeners_options),
	TEST_WAYS(notsent_lowat_does_not_stop_a_stream),
	{ 0 },
};
