// SPDX-License-Identifier: GPL-2.0-only
/* netbench server: accepts the connections of one run, serves them until all
 * have closed, and waits for the next run. A client that misbehaves or goes
 * away ends its run only.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "cpu.h"
#include "netbench.h"

/* A stream writer looks at its other duties after so much. */
#define BURST_BYTES (1U << 20)
#define BURST_WRITES 32

static void serve_request(struct nb_conn *c, uint32_t events)
{
	ssize_t n;
	int sent;

	if (!c->sending) {
		n = recv(c->fd, c->buf + c->done, nb_run.hello.size - c->done, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			nb_conn__close(c);
			return;
		}
		c->done += (uint32_t)n;
		if (c->done < nb_run.hello.size)
			return;
		c->sending = true;
		c->done = 0;
	}
	sent = nb_conn__push(c, c->buf);
	if (sent < 0) {
		nb_conn__close(c);
		return;
	}
	if (sent) {
		c->sending = false;
		c->done = 0;
	}
	nb_conn__wait(c, !sent);
}

/* The reader shuts its side down when it has measured enough. */
static bool reader_asks_for_end(struct nb_conn *c, uint32_t events)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLRDHUP };

	if (nb_run.epoll < 0)
		return poll(&pfd, 1, 0) > 0;
	if (!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return false;
	/* Once is enough: it would be reported again and again. */
	nb_conn__watch(c, EPOLLOUT);
	return true;
}

static void serve_stream(struct nb_conn *c, uint32_t events)
{
	uint32_t writes, bytes, size = nb_run.hello.size;
	int sent;

	c->ending = c->ending || reader_asks_for_end(c, events);
	for (writes = bytes = 0; writes < BURST_WRITES && bytes < BURST_BYTES; writes++) {
		if (!c->done)
			c->last = c->ending;
		nb_payload__stamp_stream(c, nb_run.buf, size);
		sent = nb_conn__push(c, nb_run.buf);
		if (c->last) /* other connections share the buffer */
			memset(nb_run.buf + size - 8, 0x6b, 8);
		if (sent < 0 || (sent && c->last)) {
			nb_conn__close(c);
			return;
		}
		if (!sent)
			return;
		c->done = 0;
		c->messages++;
		bytes += size;
	}
}

static bool valid(const struct nb_hello *h)
{
	return h->magic == NB_MAGIC && (h->test == NB_RR || h->test == NB_STREAM) &&
	       h->size >= NB_MIN_SIZE && h->size <= NB_MAX_SIZE && h->connections >= 1 &&
	       h->connections <= NB_MAX_CONNECTIONS && h->index < h->connections;
}

/* Accept the connections of one run; the first hello says how many. */
static bool accept_run(int listener)
{
	struct nb_greeting greeting = { .magic = NB_MAGIC, .pid = getpid(), .cpu = nb_opt.cpu };
	struct nb_hello hello;
	int fd;

	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			nb_fail("can't accept on %s: %s", nb_address__text(), strerror(errno));
		nb_socket__timeout(fd, NB_HELLO_SECONDS);
		if (!nb_socket__send(fd, &greeting, sizeof(greeting)) ||
		    !nb_socket__recv(fd, &hello, sizeof(hello)) || !valid(&hello)) {
			fprintf(stderr, "netbench: a client on %s did not say what to run\n",
				nb_address__text());
			close(fd);
			return false;
		}
		if (!nb_run.nr)
			nb_run__start(&hello);
		if (hello.connections != nb_run.nr || nb_run.conns[hello.index].fd >= 0) {
			fprintf(stderr, "netbench: two clients at once on %s\n",
				nb_address__text());
			close(fd);
			return false;
		}
		nb_run__add(fd, hello.index);
	} while (nb_run.open < nb_run.nr);
	return true;
}

static void serve_run(void)
{
	bool rr = nb_run.hello.test == NB_RR;
	struct nb_conn *c;

	for (c = nb_run.conns; c < nb_run.conns + nb_run.nr; c++) {
		if (!rr) {
			nb_conn__watch(c, EPOLLOUT | EPOLLRDHUP);
			continue;
		}
		c->buf = malloc(nb_run.hello.size);
		if (!c->buf)
			nb_fail("no memory for %u bytes", nb_run.hello.size);
	}
	nb_run__loop(rr ? serve_request : serve_stream, NULL);
}

int nb_server__main(void)
{
	struct sockaddr_storage ss;
	socklen_t len = nb_address(&ss);
	int fd, one = 1;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		nb_fail("can't make a socket: %s", strerror(errno));
	if (nb_opt.family == AF_UNIX)
		unlink(nb_opt.address);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, 1024) < 0)
		nb_fail("can't listen on %s: %s", nb_address__text(), strerror(errno));
	printf("listening on %s\n", nb_address__text());
	fflush(stdout);
	for (;;) {
		if (accept_run(fd))
			serve_run();
		nb_run__end();
	}
}
