// SPDX-License-Identifier: GPL-2.0-only
/* How connections begin, and sockets that live more than once. */
#include "sockets.h"

static void name_of(int fd, struct sockaddr_storage *name, bool peer)
{
	socklen_t len = sizeof(*name);

	memset(name, 0, sizeof(*name));
	succeeds((peer ? getpeername : getsockname)(fd, (struct sockaddr *)name, &len));
}

static in_port_t port_of(int fd, bool peer)
{
	struct sockaddr_storage name;

	name_of(fd, &name, peer);
	return ((struct sockaddr_in *)&name)->sin_port;
}

static void names_of_both_ends_agree(int from, int to)
{
	assert_int_equal(port_of(from, true), port_of(to, false));
	assert_int_equal(port_of(to, true), port_of(from, false));
	say(from, "hello");
	hear(to, "hello");
	assert_int_equal(port_of(from, true), port_of(to, false));
	succeeds(shutdown(to, SHUT_WR));
	hear_end(from);
	assert_int_equal(port_of(from, true), port_of(to, false));
}

static void disconnect_resets_the_peer(int from, int to)
{
	char byte;

	say(from, "a");
	hear(to, "a");
	disconnect(from);
	await(has_events(to, POLLERR));
	fails(ECONNRESET, recv(to, &byte, 1, 0));
}

static void disconnected_socket_has_no_peer(int from, int to)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	char byte;

	say(to, "never read");
	await(has_bytes(from, 10));
	disconnect(from);
	assert_int_equal(get_option(from, SOL_SOCKET, SO_ERROR), ECONNRESET);
	fails(ENOTCONN, getpeername(from, (struct sockaddr *)&name, &len));
	fails(ENOTCONN, recv(from, &byte, 1, MSG_DONTWAIT));
	fails(EPIPE, send(from, "a", 1, MSG_NOSIGNAL));
}

static void second_connect_gives_eisconn(void)
{
	int listener = listening(8), client = client_of(listener);
	struct sockaddr_storage addr;
	socklen_t len;

	connect_to(client, listener);
	len = address_for(client, listener, &addr);
	fails(EISCONN, connect(client, (struct sockaddr *)&addr, len));
}

/* @side: which end of its first connection lives again. */
static void live_again(int side)
{
	struct pair pair = connected(), again;
	struct flow old = flow_of(&pair, !side), flows[2];
	int listener = listening(8);

	flow_put(&old, 5000);
	flow_take(&old, 100);
	disconnect(old.to);
	connect_to(old.to, listener);
	again.end[CLIENT] = old.to;
	again.end[SERVER] = accept_from(listener);
	for (int i = 0; i < 2; i++) {
		flows[i] = flow_of(&again, i);
		flow_put(&flows[i], 30000);
	}
	for (int i = 0; i < 2; i++) {
		flow_drain(&flows[i]);
		succeeds(shutdown(flows[i].from, SHUT_WR));
		flow_end(&flows[i]);
	}
	close(old.from);
	close_pair(&again);
	close(listener);
}

static void socket_that_lives_again_has_nothing_of_before(void)
{
	for (int i = 0; i < 6; i++)
		live_again(i & 1);
}

static void disconnected_socket_may_listen(void)
{
	struct pair pair = connected();
	int listener = pair.end[SERVER], client, server;

	say(pair.end[CLIENT], "never read");
	await(has_bytes(listener, 10));
	disconnect(listener);
	listen_on(listener, 4);
	client = client_of(listener);
	connect_to(client, listener);
	server = accept_from(listener);
	say(client, "to a listener");
	hear(server, "to a listener");
	say(server, "from a child");
	hear(client, "from a child");
}

static void port_can_be_used_again_at_once(void)
{
	const struct linger linger = { .l_onoff = 1 };
	int listener = listening(8);
	in_port_t port = 0;

	for (int i = 0; i < 10; i++) {
		int client = client_of(listener), server;
		struct sockaddr_storage name;
		struct flow flow;

		name_of(client, &name, false);
		((struct sockaddr_in *)&name)->sin_port = port;
		set_option(client, SOL_SOCKET, SO_REUSEADDR, 1);
		succeeds(bind(client, (struct sockaddr *)&name,
			      name.ss_family == AF_INET ? sizeof(struct sockaddr_in) :
							  sizeof(struct sockaddr_in6)));
		connect_to(client, listener);
		port = port_of(client, false);
		server = accept_from(listener);
		flow = flow_between(client, server);
		flow_put(&flow, 1000 * i + 1);
		flow_take(&flow, 1);
		succeeds(setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
		close(client);
		await(has_events(server, POLLERR));
		close(server);
	}
}

static void nonblocking_connect_tells_by_pollout(void)
{
	int listener = listening(8), client = client_of(listener), server;

	set_nonblocking(client, true);
	connect_to(client, listener);
	await(has_events(client, POLLOUT));
	assert_int_equal(get_option(client, SOL_SOCKET, SO_ERROR), 0);
	server = accept_from(listener);
	say(client, "hello");
	hear(server, "hello");
}

static void accept4_makes_a_nonblocking_child(void)
{
	int listener = listening(8), client = client_of(listener), server;
	char byte;

	connect_to(client, listener);
	server = succeeds(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
	fails(EAGAIN, recv(server, &byte, 1, 0));
	say(client, "a");
	await(has_events(server, POLLIN));
	hear(server, "a");
}

static void deferred_child_comes_with_its_data(void)
{
	int listener = listening(8), client = client_of(listener), server;

	set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 5);
	connect_to(client, listener);
	assert_int_equal(events_of(listener, POLLIN), 0);
	say(client, "data");
	await(has_events(listener, POLLIN));
	server = accept_from(listener);
	hear(server, "data");
	say(server, "reply");
	hear(client, "reply");
}

static void socket_connected_to_itself_hears_itself(void)
{
	int fd = server_socket();
	struct flow flow = flow_between(fd, fd);
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);

	bind_server(fd);
	succeeds(getsockname(fd, (struct sockaddr *)&name, &len));
	succeeds(connect(fd, (struct sockaddr *)&name, len));
	flow_put(&flow, 10000);
	flow_drain(&flow);
	succeeds(shutdown(fd, SHUT_WR));
	flow_end(&flow);
}

static void data_may_come_with_connect(void)
{
	int listener = listening(8), client = client_of(listener), server;
	struct sockaddr_storage addr;
	socklen_t len = address_for(client, listener, &addr);

	set_option(listener, IPPROTO_TCP, TCP_FASTOPEN, 8);
	returns(5, sendto(client, "early", 5, MSG_FASTOPEN, (struct sockaddr *)&addr, len));
	server = accept_from(listener);
	hear(server, "early");
	say(client, "late");
	hear(server, "late");
	say(server, "reply");
	hear(client, "reply");
}

const struct test connect_tests[] = {
	TEST_WAYS(names_of_both_ends_agree),
	TEST_WAYS(disconnect_resets_the_peer),
	TEST_WAYS(disconnected_socket_has_no_peer),
	TEST(second_connect_gives_eisconn),
	TEST(socket_that_lives_again_has_nothing_of_before),
	TEST(disconnected_socket_may_listen),
	TEST(port_can_be_used_again_at_once),
	TEST(nonblocking_connect_tells_by_pollout),
	TEST(accept4_makes_a_nonblocking_child),
	TEST(deferred_child_comes_with_its_data),
	TEST(socket_connected_to_itself_hears_itself),
	TEST(data_may_come_with_connect),
	{ 0 },
};
