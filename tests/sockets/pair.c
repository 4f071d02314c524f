// SPDX-License-Identifier: GPL-2.0-only
/* Connections in the family and between the namespaces that were asked for. */
#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>

#include "sockets.h"

struct place place;

/* The namespace of a socket is that of the thread which makes it. */
static int socket_in(const char *ns, int family)
{
	int own = -1, other, fd;

	if (ns) {
		own = succeeds(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
		other = succeeds(open(ns, O_RDONLY | O_CLOEXEC));
		succeeds(setns(other, CLONE_NEWNET));
		close(other);
	}
	fd = succeeds(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (ns) {
		succeeds(setns(own, CLONE_NEWNET));
		close(own);
	}
	return fd;
}

static int family_of(int fd)
{
	return get_option(fd, SOL_SOCKET, SO_DOMAIN);
}

static const char *address_text(void)
{
	if (place.address)
		return place.address;
	return place.family == FAMILY_IPV6 ? "::1" : "127.0.0.1";
}

/* The server's address for a socket of @family. */
static socklen_t make_address(int family, in_port_t port, struct sockaddr_storage *addr)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	struct sockaddr_in *in = (struct sockaddr_in *)addr;
	char mapped[INET6_ADDRSTRLEN];

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = family;
	if (family == AF_INET) {
		in->sin_port = port;
		require(inet_pton(AF_INET, address_text(), &in->sin_addr) == 1);
		return sizeof(*in);
	}
	snprintf(mapped, sizeof(mapped), "%s%s",
		 place.family == FAMILY_IPV6 ? "" : "::ffff:", address_text());
	in6->sin6_port = port;
	require(inet_pton(AF_INET6, mapped, &in6->sin6_addr) == 1);
	return sizeof(*in6);
}

/* Mapped addresses: an AF_INET client of an AF_INET6 server, and the other way
 * round, in turns.
 */
int server_socket(void)
{
	int family = place.family == FAMILY_IPV6 ? AF_INET6 : AF_INET;

	if (place.family == FAMILY_MAPPED && place.turn++ & 1)
		family = AF_INET6;
	return socket_in(place.server_ns, family);
}

int client_of(int listener)
{
	int family = family_of(listener);

	if (place.family == FAMILY_MAPPED)
		family = family == AF_INET ? AF_INET6 : AF_INET;
	return socket_in(place.client_ns, family);
}

void bind_server(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = make_address(family_of(fd), 0, &addr);

	succeeds(bind(fd, (struct sockaddr *)&addr, len));
}

void listen_on(int fd, int backlog)
{
	bind_server(fd);
	succeeds(listen(fd, backlog));
}

int listening(int backlog)
{
	int fd = server_socket();

	listen_on(fd, backlog);
	return fd;
}

socklen_t address_for(int fd, int listener, struct sockaddr_storage *addr)
{
	struct sockaddr_storage own = {};
	socklen_t len = sizeof(own);

	succeeds(getsockname(listener, (struct sockaddr *)&own, &len));
	/* sin_port and sin6_port are at the same place. */
	return make_address(family_of(fd), ((struct sockaddr_in *)&own)->sin_port, addr);
}

void connect_to(int fd, int listener)
{
	struct sockaddr_storage addr;
	socklen_t len = address_for(fd, listener, &addr);

	if (connect(fd, (struct sockaddr *)&addr, len) && errno != EINPROGRESS)
		give_up(__FILE__, __LINE__, "connect: %s", strerror(errno));
}

int accept_from(int listener)
{
	return succeeds(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

void disconnect(int fd)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	succeeds(connect(fd, &nowhere, sizeof(nowhere)));
}

static void make_small(int fd, int bytes)
{
	if (bytes) {
		set_option(fd, SOL_SOCKET, SO_SNDBUF, bytes);
		set_option(fd, SOL_SOCKET, SO_RCVBUF, bytes);
	}
}

struct pair connected_small(int bytes)
{
	int listener = server_socket();
	struct pair pair;

	make_small(listener, bytes);
	listen_on(listener, 8);
	pair.end[CLIENT] = client_of(listener);
	make_small(pair.end[CLIENT], bytes);
	connect_to(pair.end[CLIENT], listener);
	pair.end[SERVER] = accept_from(listener);
	close(listener);
	if (place.poll_first) {
		struct pollfd ends[] = { { pair.end[CLIENT], POLLIN, 0 },
					 { pair.end[SERVER], POLLIN, 0 } };

		poll(ends, ARRAY_SIZE(ends), 0);
	}
	return pair;
}

struct pair connected(void)
{
	return connected_small(0);
}

void close_pair(const struct pair *pair)
{
	close(pair->end[CLIENT]);
	close(pair->end[SERVER]);
}

void warm_up(int a, int b)
{
	for (int i = 0; i < 2; i++) {
		say(a, "there");
		hear(b, "there");
		say(b, "back");
		hear(a, "back");
	}
}

void set_option(int fd, int level, int name, int value)
{
	succeeds(setsockopt(fd, level, name, &value, sizeof(value)));
}

int get_option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	succeeds(getsockopt(fd, level, name, &value, &len));
	return value;
}

void set_nonblocking(int fd, bool on)
{
	int flags = succeeds(fcntl(fd, F_GETFL));

	succeeds(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}
