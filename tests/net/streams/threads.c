// SPDX-License-Identifier: GPL-2.0-only
/* Blocking calls: one thread sends and one receives, for each connection. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

#define SECOND 1000000000ULL

struct pair {
	struct conn conn;
	pthread_mutex_t lock; /* for cond alone: the fields it is about are atomic */
	pthread_cond_t cond; /* the receiver has moved */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER; /* protects conns */
static struct conn conns = { .next = &conns, .prev = &conns };
static _Atomic uint64_t live, opened;

static void start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	int err = pthread_create(thread, NULL, run, arg);

	if (err) {
		fprintf(stderr, "pthread_create: %s\n", strerror(err));
		finish(false);
	}
}

static unsigned char *allocate_buffer(void)
{
	unsigned char *buf = malloc(CONN_BUFFER);

	if (!buf) {
		fprintf(stderr, "no memory for a buffer\n");
		finish(false);
	}
	return buf;
}

static void *receive_all(void *arg)
{
	struct pair *pair = arg;
	unsigned char *buf = allocate_buffer();

	while (conn_wants_receive(&pair->conn)) {
		conn_receive(&pair->conn, buf);
		pthread_mutex_lock(&pair->lock);
		pthread_cond_signal(&pair->cond);
		pthread_mutex_unlock(&pair->lock);
	}
	free(buf);
	return NULL;
}

/* Wait until there is something to send. The time limit is for a release by
 * signal, which does not touch the condition.
 */
static void wait_to_send(struct pair *pair)
{
	struct timespec until;

	pthread_mutex_lock(&pair->lock);
	while (!conn_wants_send(&pair->conn) && !pair->conn.tx_gone) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 50000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&pair->cond, &pair->lock, &until);
	}
	pthread_mutex_unlock(&pair->lock);
}

static void run_pair(struct pair *pair)
{
	struct conn *conn = &pair->conn;
	unsigned char *buf = allocate_buffer();
	pthread_t receiver;
	bool receives;

	if (conn->side == 1 && opt.greet)
		while (conn_wants_send(conn))
			conn_send(conn, buf);
	while (!conn->rx_ready && !conn->rx_eof)
		conn_receive(conn, buf);
	if (conn->scenario && !conn->rx_eof) {
		receives = !(conn->scenario->ends[conn->side] == END_CLOSE &&
			     conn->scenario->mute[!conn->side]);
		if (receives)
			start_thread(&receiver, receive_all, pair);
		while (!conn->tx_done && !conn->tx_gone) {
			wait_to_send(pair);
			if (!conn->tx_gone)
				conn_send(conn, buf);
		}
		if (receives)
			pthread_join(receiver, NULL);
	}
	free(buf);
}

static struct pair *new_pair(void)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	if (!pair) {
		fprintf(stderr, "no memory for a connection\n");
		finish(false);
	}
	pthread_mutex_init(&pair->lock, NULL);
	pthread_cond_init(&pair->cond, NULL);
	return pair;
}

static void enlist(struct conn *conn)
{
	pthread_mutex_lock(&list_lock);
	conn->next = &conns;
	conn->prev = conns.prev;
	conns.prev->next = conn;
	conns.prev = conn;
	pthread_mutex_unlock(&list_lock);
}

static void free_pair(struct pair *pair)
{
	pthread_mutex_lock(&list_lock);
	pair->conn.next->prev = pair->conn.prev;
	pair->conn.prev->next = pair->conn.next;
	conn_close(&pair->conn);
	pthread_mutex_unlock(&list_lock);
	pthread_cond_destroy(&pair->cond);
	pthread_mutex_destroy(&pair->lock);
	free(pair);
}

static void *serve(void *arg)
{
	struct pair *pair = arg;

	run_pair(pair);
	free_pair(pair);
	live--;
	return NULL;
}

static void *connect_again_and_again(void *arg)
{
	uint64_t id;
	bool pending;

	while (!stopping && (id = opened++) < opt.total) {
		struct pair *pair = new_pair();

		conn_plan(&pair->conn, id);
		pair->conn.fd = socket_connect(id, false, &pending);
		if (pair->conn.fd < 0) {
			free(pair);
			continue;
		}
		conn_connected(&pair->conn);
		enlist(&pair->conn);
		run_pair(pair);
		free_pair(pair);
	}
	live--;
	return NULL;
}

static void print_all(const char *why)
{
	int n = 0;

	for (struct conn *conn = conns.next; conn != &conns && n < 20; conn = conn->next, n++)
		conn_print(conn, why);
}

static void look_for_stalls(void)
{
	uint64_t now = now_ns();

	pthread_mutex_lock(&list_lock);
	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next) {
		if (conn_may_rest(conn) || now < conn->moved + opt.stall_limit * SECOND)
			continue;
		print_all("state");
		conn_fail(conn, "no progress for %u s", opt.stall_limit);
	}
	pthread_mutex_unlock(&list_lock);
}

static void touch_all(void)
{
	pthread_mutex_lock(&list_lock);
	for (struct conn *conn = conns.next; conn != &conns; conn = conn->next)
		conn->moved = now_ns();
	pthread_mutex_unlock(&list_lock);
}

static void accept_one(int listener)
{
	struct sockaddr_in6 peer = {};
	socklen_t len = sizeof(peer);
	struct pair *pair;
	pthread_t thread;
	int fd = accept4(listener, (void *)&peer, &len, SOCK_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "accept: %s\n", strerror(errno));
		finish(false);
	}
	pair = new_pair();
	pair->conn.fd = fd;
	conn_accepted(&pair->conn, opened++, &peer);
	enlist(&pair->conn);
	live++;
	start_thread(&thread, serve, pair);
	pthread_detach(thread);
}

static bool all_done(int listener)
{
	struct pollfd waiting = { .fd = listener, .events = POLLIN };

	if (live)
		return false;
	/* What was connected before the signal is served. */
	if (opt.server && stopping && poll(&waiting, 1, 0) == 1)
		return false;
	return !opt.server || stopping || (opt.total && opened >= opt.total);
}

void run_threads(int listener, int signals)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
				{ .fd = listener, .events = POLLIN } };
	pthread_t thread;

	for (uint64_t i = 0; !opt.server && i < opt.connections; i++) {
		live++;
		start_thread(&thread, connect_again_and_again, NULL);
		pthread_detach(thread);
	}
	while (!all_done(listener)) {
		poll(fds, 2, 20);
		if (fds[0].revents) {
			if (take_signal(signals) == SIGUSR2) {
				pthread_mutex_lock(&list_lock);
				print_all("state");
				pthread_mutex_unlock(&list_lock);
			} else {
				touch_all();
			}
		}
		if (fds[1].revents)
			accept_one(listener);
		look_for_stalls();
	}
	finish(true);
}
