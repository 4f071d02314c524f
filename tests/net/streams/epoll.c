// SPDX-License-Identifier: GPL-2.0-only
/* All connections in one thread. Level-triggered: what a connection waits for
 * is set anew after each step. Edge-triggered: it is set once, and what has
 * become ready stays so until the kernel says EAGAIN.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#define BATCH 256
#define CONNECTING_MAX 512
#define SECOND 1000000000ULL

static int epfd;
static struct conn conns = { .next = &conns, .prev = &conns };
static struct conn *run_head, **run_tail = &run_head;
static uint64_t live, connecting, opened;
static unsigned char *buffer;
static bool said_ready, said_settled;

static void set_interest(struct conn *conn, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = conn };
	int op = conn->interest ? (events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL) : EPOLL_CTL_ADD;

	if (events == conn->interest)
		return;
	if (epoll_ctl(epfd, op, conn->fd, &ev))
		conn_fail(conn, "epoll_ctl: %s", strerror(errno));
	conn->interest = events;
}

static bool wants_input(const struct conn *conn)
{
	if (conn_leaves_unread(conn) && conn->rx_ready)
		return !conn->rx_eof;
	return conn_wants_receive(conn);
}

static void run_later(struct conn *conn)
{
	if (conn->running)
		return;
	conn->running = true;
	conn->run_next = NULL;
	*run_tail = conn;
	run_tail = &conn->run_next;
}

static void add(struct conn *conn)
{
	conn->next = &conns;
	conn->prev = conns.prev;
	conns.prev->next = conn;
	conns.prev = conn;
	live++;
	if (opt.io == IO_EDGE)
		set_interest(conn, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	else
		set_interest(conn, EPOLLIN | (conn->connecting ? EPOLLOUT : 0));
}

static void drop(struct conn *conn)
{
	conn->next->prev = conn->prev;
	conn->prev->next = conn->next;
	conn_close(conn);
	live--;
	free(conn);
}

static struct conn *allocate(void)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		fprintf(stderr, "no memory for a connection\n");
		finish(false);
	}
	return conn;
}

/* Returns false if the connection could not be made, as it may not. */
static bool connected(struct conn *conn)
{
	socklen_t len = sizeof(int);
	int err = 0;

	conn->connecting = false;
	connecting--;
	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err && opt.tolerate) {
		totals.refused++;
		return false;
	}
	if (err)
		conn_fail(conn, "connect: %s", strerror(err));
	conn->moved = now_ns();
	conn_connected(conn);
	return true;
}

static void step(struct conn *conn)
{
	if (conn->connecting) {
		if (!conn->can_write)
			return;
		if (!connected(conn)) {
			drop(conn);
			return;
		}
	}
	if (conn->can_write && conn_wants_send(conn)) {
		conn->blocked = conn_send(conn, buffer) == STEP_BLOCKED;
		if (conn->blocked)
			conn->can_write = false;
	}
	if (conn->can_read && conn_leaves_unread(conn) && conn->rx_ready) {
		drop(conn);
		return;
	}
	if (conn->can_read && conn_wants_receive(conn) &&
	    conn_receive(conn, buffer) == STEP_BLOCKED)
		conn->can_read = false;
	if (conn_finished(conn)) {
		drop(conn);
		return;
	}
	if (opt.io == IO_LEVEL) {
		conn->can_read = false;
		conn->can_write = false;
		set_interest(conn, (wants_input(conn) ? EPOLLIN : 0) |
					   (conn_wants_send(conn) ? EPOLLOUT : 0));
	} else if ((conn->can_write && conn_wants_send(conn)) ||
		   (conn->can_read && wants_input(conn))) {
		run_later(conn);
	}
}

static void open_some(void)
{
	static uint64_t start;

	if (!start)
		start = now_ns();
	for (int i = 0; i < BATCH; i++) {
		struct conn *conn;

		if (opened >= opt.total || live >= opt.connections || connecting >= CONNECTING_MAX)
			return;
		if (opt.rate && opened >= (now_ns() - start) / (SECOND / opt.rate))
			return;
		conn = allocate();
		conn_plan(conn, opened++);
		conn->fd = socket_connect(conn->id, true, &conn->connecting);
		if (conn->fd < 0) {
			free(conn);
			continue;
		}
		connecting += conn->connecting;
		add(conn);
		if (!conn->connecting) {
			conn_connected(conn);
			conn->can_write = true;
			run_later(conn);
		}
	}
}

static void accept_some(int listener)
{
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_in6 peer = {};
		socklen_t len = sizeof(peer);
		struct conn *conn;
		int fd = accept4(listener, (void *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && errno == ECONNABORTED)
			continue;
		if (fd < 0) {
			fprintf(stderr, "accept: %s\n", strerror(errno));
			finish(false);
		}
		conn = allocate();
		conn->fd = fd;
		conn_accepted(conn, opened++, &peer);
		add(conn);
		conn->can_write = true;
		conn->can_read = opt.io == IO_EDGE;
		run_later(conn);
	}
}

static void print_all(const char *why)
{
	int n = 0;

	for (struct conn *conn = conns.next; conn != &conns && n < 20; conn = conn->next, n++)
		conn_print(conn, why);
	fprintf(stderr, "%lu connections live\n", (unsigned long)live);
}

/* After a release every connection may have something to do. */
static void wake_all(void)
{
	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next) {
		conn->moved = now_ns();
		conn->can_write |= !conn->connecting;
		conn->can_read |= !conn->connecting && opt.io == IO_EDGE;
		run_later(conn);
	}
}

static void say_ready(void)
{
	if (said_ready || opened < opt.total || connecting)
		return;
	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next)
		if (!conn->parked)
			return;
	said_ready = true;
	event("ready", "\"connections\": %lu", (unsigned long)live);
}

/* Floods have settled when none was given room for a while. */
static void say_settled(void)
{
	uint64_t min = UINT64_MAX, max = 0, sum = 0, n = 0, now = now_ns();
	bool quiet = true;

	if (said_settled)
		return;
	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next) {
		if (!conn->scenario || !conn->scenario->endless[conn->side] ||
		    conn->scenario->none[conn->side])
			continue;
		n++;
		quiet &= now - conn->moved > opt.settle * 1000000ULL;
		/* The kernel says not writable; only a refusal shows that it is full. */
		if (!conn->blocked && now - conn->moved > opt.settle * 500000ULL)
			for (int tries = 0; tries < 1000 && !conn->blocked; tries++)
				conn->blocked = conn_send(conn, buffer) == STEP_BLOCKED;
		quiet &= conn->blocked;
		sum += conn->tx_pos;
		min = conn->tx_pos < min ? conn->tx_pos : min;
		max = conn->tx_pos > max ? conn->tx_pos : max;
	}
	if (!n || !quiet || (!opt.server && opened < opt.total))
		return;
	said_settled = true;
	event("settled", "\"connections\": %lu, \"min\": %lu, \"max\": %lu, \"sum\": %lu",
	      (unsigned long)n, (unsigned long)min, (unsigned long)max, (unsigned long)sum);
}

static void look_for_stalls(void)
{
	uint64_t now = now_ns();

	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next) {
		if (conn_may_rest(conn) || now < conn->moved + opt.stall_limit * SECOND)
			continue;
		print_all("state");
		conn_fail(conn, "no progress for %u s", opt.stall_limit);
	}
}

static void tick(void)
{
	static uint64_t last_say, last_look;
	uint64_t now = now_ns();

	if (now - last_say > SECOND / 20 && !released) {
		last_say = now;
		if (opt.hold && !opt.server)
			say_ready();
		say_settled();
	}
	if (now - last_look > SECOND) {
		last_look = now;
		look_for_stalls();
	}
}

static void on_signal(int signals)
{
	switch (take_signal(signals)) {
	case 0:
		break;
	case SIGUSR2:
		print_all("state");
		break;
	default:
		wake_all();
	}
}

static bool all_done(int listener)
{
	/* What was connected before the signal is served. */
	if (opt.server && stopping && !live)
		accept_some(listener);
	if (live)
		return false;
	if (opt.server)
		return stopping || (opt.total && opened >= opt.total);
	return opened >= opt.total || stopping;
}

void run_epoll(int listener, int signals)
{
	static int listener_tag, signals_tag;
	struct epoll_event events[BATCH], ev = { .events = EPOLLIN };

	buffer = malloc(CONN_BUFFER);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	ev.data.ptr = &signals_tag;
	epoll_ctl(epfd, EPOLL_CTL_ADD, signals, &ev);
	ev.data.ptr = &listener_tag;
	if (listener >= 0)
		epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
	while (!all_done(listener)) {
		struct conn *run;
		int n;

		if (!opt.server && !stopping)
			open_some();
		n = epoll_wait(epfd, events, BATCH, run_head ? 0 : opt.rate ? 1 : 100);
		for (int i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;
			uint32_t got = events[i].events;

			if (events[i].data.ptr == &signals_tag) {
				on_signal(signals);
			} else if (events[i].data.ptr == &listener_tag) {
				accept_some(listener);
			} else {
				conn->can_read |= !!(got & ~EPOLLOUT);
				conn->can_write |= !!(got & (EPOLLOUT | EPOLLERR | EPOLLHUP));
				run_later(conn);
			}
		}
		/* What a step puts on the list again has its turn after the next wait. */
		run = run_head;
		run_head = NULL;
		run_tail = &run_head;
		while (run) {
			struct conn *next = run->run_next;

			run->running = false;
			step(run);
			run = next;
		}
		tick();
	}
	finish(true);
}
