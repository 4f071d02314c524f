// SPDX-License-Identifier: GPL-2.0-only
/* Sockets with the options that were asked for. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void die(const char *call)
{
	fprintf(stderr, "%s: %s\n", call, strerror(errno));
	finish(false);
}

static void set(int fd, int level, int name, int value, const char *what)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die(what);
}

static int make(int flags)
{
	int fd = socket(opt.address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC | flags,
			opt.mptcp ? IPPROTO_MPTCP : 0);

	if (fd < 0)
		die("socket");
	return fd;
}

int socket_listen(void)
{
	int fd = make(opt.io == IO_BLOCK ? 0 : SOCK_NONBLOCK);
	struct sockaddr_in6 addr = {};
	socklen_t len = sizeof(addr);

	set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
	if (opt.address.sin6_family == AF_INET6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY");
	if (opt.defer)
		set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 10, "TCP_DEFER_ACCEPT");
	if (opt.fastopen)
		set(fd, IPPROTO_TCP, TCP_FASTOPEN, 1024, "TCP_FASTOPEN");
	if (bind(fd, (void *)&opt.address, opt.address_len))
		die("bind");
	if (listen(fd, 65535))
		die("listen");
	getsockname(fd, (void *)&addr, &len);
	event("listening", "\"port\": %u, \"pid\": %d", ntohs(addr.sin6_port), getpid());
	return fd;
}

int socket_connect(uint64_t id, bool nonblocking, bool *connecting)
{
	int fd = make(nonblocking ? SOCK_NONBLOCK : 0);

	if (opt.fastopen)
		set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, "TCP_FASTOPEN_CONNECT");
	if (opt.bind.sin6_family || opt.first_port) {
		struct sockaddr_in6 addr = opt.bind;

		if (!addr.sin6_family)
			addr.sin6_family = opt.address.sin6_family;
		if (opt.first_port)
			addr.sin6_port = htons(opt.first_port + id % (65536 - opt.first_port));
		else
			set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
		set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
		if (bind(fd, (void *)&addr, opt.address_len))
			die("bind");
	}
	*connecting = false;
	if (!connect(fd, (void *)&opt.address, opt.address_len))
		return fd;
	if (nonblocking && errno == EINPROGRESS) {
		*connecting = true;
		return fd;
	}
	if (!opt.tolerate || (errno != ECONNREFUSED && errno != ECONNRESET))
		die("connect");
	totals.refused++;
	close(fd);
	return -1;
}
