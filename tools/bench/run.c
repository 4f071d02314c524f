// SPDX-License-Identifier: GPL-2.0-only
/* What the server and the client do alike: sockets, the connections of one
 * run, and the loop over them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "netbench.h"

struct nb_run nb_run;

void nb_fail(const char *fmt, ...)
{
	va_list args;

	fputs("netbench: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- sockets ------------------------------------------------------------ */

socklen_t nb_address(struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *in6 = (void *)ss;
	struct sockaddr_in *in = (void *)ss;
	struct sockaddr_un *un = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (nb_opt.family == AF_UNIX) {
		if (strlen(nb_opt.address) >= sizeof(un->sun_path))
			nb_fail("the path of the Unix socket, %s, is too long", nb_opt.address);
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, nb_opt.address);
		return sizeof(*un);
	}
	if (inet_pton(AF_INET, nb_opt.address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(nb_opt.port);
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, nb_opt.address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(nb_opt.port);
		return sizeof(*in6);
	}
	nb_fail("%s is not an IPv4 or IPv6 address", nb_opt.address);
}

const char *nb_address__text(void)
{
	static char text[256];

	if (nb_opt.family == AF_UNIX)
		snprintf(text, sizeof(text), "unix %s", nb_opt.address);
	else
		snprintf(text, sizeof(text), "tcp %s %u", nb_opt.address, nb_opt.port);
	return text;
}

/* For calls that block; 0 takes the limit away. */
void nb_socket__timeout(int fd, int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

bool nb_socket__send(int fd, const void *data, size_t size)
{
	return send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

bool nb_socket__recv(int fd, void *data, size_t size)
{
	size_t done = 0;
	ssize_t n;

	for (; done < size; done += (size_t)n) {
		n = recv(fd, (char *)data + done, size - done, 0);
		if (n <= 0)
			return false;
	}
	return true;
}

/* ---- one run ------------------------------------------------------------ */

void nb_run__start(const struct nb_hello *hello)
{
	uint32_t i;

	nb_run.hello = *hello;
	nb_run.nr = hello->connections;
	nb_run.open = 0;
	nb_run.conns = calloc(nb_run.nr, sizeof(*nb_run.conns));
	nb_run.buf_size = hello->size < NB_MIN_READ ? NB_MIN_READ : hello->size;
	nb_run.buf = malloc(nb_run.buf_size);
	nb_run.epoll = nb_run.nr > 1 ? epoll_create1(EPOLL_CLOEXEC) : -1;
	if (!nb_run.conns || !nb_run.buf || (nb_run.nr > 1 && nb_run.epoll < 0))
		nb_fail("can't start a run of %u connections: %s", nb_run.nr, strerror(errno));
	memset(nb_run.buf, 0x6b, nb_run.buf_size);
	for (i = 0; i < nb_run.nr; i++)
		nb_run.conns[i].fd = -1;
}

/* Takes @fd over. Requests go out at once; a stream is left to Nagle, as
 * programs leave it.
 */
void nb_run__add(int fd, uint32_t index)
{
	struct nb_conn *c = &nb_run.conns[index];
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = fd;
	c->index = index;
	if (nb_opt.family != AF_UNIX && nb_run.hello.test == NB_RR)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	nb_socket__timeout(fd, 0);
	if (nb_run.epoll >= 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
				  epoll_ctl(nb_run.epoll, EPOLL_CTL_ADD, fd, &ev) < 0))
		nb_fail("can't watch a connection: %s", strerror(errno));
	nb_run.open++;
}

void nb_run__loop(void (*step)(struct nb_conn *c, uint32_t events), bool (*done)(void))
{
	struct epoll_event events[256];
	struct nb_conn *c;
	int i, n;

	while (nb_run.open && !(done && done())) {
		if (nb_run.epoll < 0) {
			step(&nb_run.conns[0], 0);
			continue;
		}
		n = epoll_wait(nb_run.epoll, events, 256, -1);
		if (n < 0 && errno != EINTR)
			nb_fail("can't wait for connections: %s", strerror(errno));
		for (i = 0; i < n; i++) {
			c = events[i].data.ptr;
			if (c->fd >= 0)
				step(c, events[i].events);
		}
	}
}

void nb_run__end(void)
{
	uint32_t i;

	if (!nb_run.nr)
		return;
	for (i = 0; i < nb_run.nr; i++)
		nb_conn__close(&nb_run.conns[i]);
	free(nb_run.conns);
	free(nb_run.buf);
	if (nb_run.epoll >= 0)
		close(nb_run.epoll);
	memset(&nb_run, 0, sizeof(nb_run));
}

/* ---- one connection ----------------------------------------------------- */

void nb_conn__watch(struct nb_conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (nb_run.epoll >= 0 && epoll_ctl(nb_run.epoll, EPOLL_CTL_MOD, c->fd, &ev) < 0)
		nb_fail("can't watch a connection: %s", strerror(errno));
}

void nb_conn__wait(struct nb_conn *c, bool room)
{
	if (c->waiting == room)
		return;
	c->waiting = room;
	nb_conn__watch(c, room ? EPOLLOUT : EPOLLIN);
}

int nb_conn__push(struct nb_conn *c, const char *buf)
{
	uint32_t size = nb_run.hello.size;
	ssize_t n;

	while (c->done < size) {
		n = send(c->fd, buf + c->done, size - c->done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->done += (uint32_t)n;
	}
	return 1;
}

void nb_conn__close(struct nb_conn *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	free(c->buf);
	c->buf = NULL;
	nb_run.open--;
}
