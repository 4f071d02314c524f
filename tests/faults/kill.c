// SPDX-License-Identifier: GPL-2.0-only
/* Processes that are killed at random points of a connection's life, many at once.
 *
 *     kill KILLS AT_ONCE SEED CLIENT_NS SERVER_NS ADDRESS
 *
 * Each end of a connection is a process of its own, which sends and receives in two
 * threads by blocking calls. One of the two ends is killed, or both. The other must
 * come to its end by itself: every byte it has received was right, and of a sender
 * that was killed it has every byte that send() had taken, if it sent nothing itself
 * (else a reset may overtake them). Prints one JSON line; exit status 0 if all were right.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#define BUFFER (64UL << 10)
#define MOST_AT_ONCE 64
#define SECOND 1000000000ULL
/* Without an end: the survivor hangs. */
#define HANGS (30 * SECOND)

enum { CLIENT, SERVER };
enum mode { DUPLEX, UP, DOWN, MODES };

/* What the processes of a pair tell the one that kills them. */
struct shared {
	_Atomic uint64_t taken[2]; /* by send() of each end */
};

struct pair {
	unsigned int id;
	enum mode mode;
	pid_t pid[2]; /* 0: none, or it has ended */
	bool killed[2], to_be_killed[2];
	uint64_t began; /* ns */
	uint64_t bytes, delay; /* it is killed once so many were sent, and so much later */
	uint64_t due; /* 0: not known yet */
	struct shared *shared;
};

/* One end, in a process of its own. */
static struct {
	const struct pair *pair;
	int side, fd;
	bool reset;
	uint64_t received;
} end;

static unsigned int seed;
static int ns[2];
static struct sockaddr_in address;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void nap(unsigned int us)
{
	const struct timespec t = { 0, us * 1000L };

	nanosleep(&t, NULL);
}

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- an end -------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pair %u, mode %d, %s (%d): ", end.pair->id, end.pair->mode,
		end.side == CLIENT ? "client" : "server", getpid());
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

static bool sends(enum mode mode, int side)
{
	return mode == DUPLEX || side == (mode == UP ? CLIENT : SERVER);
}

static void *send_all(void *unused)
{
	uint64_t key = pattern_key(seed, 0, end.pair->id, end.side), pos = 0;
	static unsigned char buf[BUFFER];
	unsigned int state = end.pair->id;

	for (;;) {
		size_t len = 1 + rand_r(&state) % (1 << rand_r(&state) % 17);
		ssize_t n;

		pattern_fill(key, pos, buf, len);
		n = send(end.fd, buf, len, MSG_NOSIGNAL);
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return NULL;
		if (n <= 0)
			wrong("send: %zd, %s", n, strerror(errno));
		pos += n;
		end.pair->shared->taken[end.side] = pos;
	}
}

static void receive_all(void)
{
	uint64_t key = pattern_key(seed, 0, end.pair->id, !end.side);
	static unsigned char buf[BUFFER];
	unsigned int state = end.pair->id + 1;

	for (;;) {
		size_t len = 1 + rand_r(&state) % (1 << rand_r(&state) % 17);
		ssize_t n = recv(end.fd, buf, len, 0);
		size_t right;

		if (!n)
			return;
		if (n < 0 && errno == ECONNRESET) {
			end.reset = true;
			return;
		}
		if (n < 0)
			wrong("recv: %s", strerror(errno));
		right = pattern_check(key, end.received, buf, n);
		if (right < (size_t)n)
			wrong("byte %lu is wrong", (unsigned long)(end.received + right));
		end.received += n;
		/* Some readers are slow: senders wait for room. */
		if (end.pair->id % 3 == 0 && rand_r(&state) % 8 == 0)
			nap(rand_r(&state) % 3000);
	}
}

/* -1: the other end has gone before. */
static int connection(int listener, int alive)
{
	struct pollfd ready[] = { { listener, POLLIN, 0 }, { alive, 0, 0 } };
	int fd;

	if (end.side == SERVER) {
		if (poll(ready, 2, -1) < 0)
			wrong("poll: %s", strerror(errno));
		if (!ready[0].revents)
			return -1;
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			wrong("accept: %s", strerror(errno));
		close(listener);
		return fd;
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		wrong("socket: %s", strerror(errno));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	if (errno != ECONNREFUSED && errno != ECONNRESET)
		wrong("connect: %s", strerror(errno));
	return -1;
}

/* Runs until the other end has gone. */
__attribute__((noreturn)) static void run_end(const struct pair *pair, int side, int listener,
					      int alive)
{
	pthread_t sender;
	uint64_t taken;

	end.pair = pair;
	end.side = side;
	if (setns(ns[side], CLONE_NEWNET))
		wrong("setns: %s", strerror(errno));
	end.fd = connection(listener, alive);
	if (end.fd < 0)
		_exit(0);
	if (!sends(pair->mode, side)) {
		receive_all();
		taken = pair->shared->taken[!side];
		if (end.received < taken || (end.reset && taken))
			wrong("%s after %lu bytes, of %lu sent", end.reset ? "reset" : "end",
			      (unsigned long)end.received, (unsigned long)taken);
		_exit(0);
	}
	if (pthread_create(&sender, NULL, send_all, NULL))
		wrong("pthread_create");
	receive_all();
	pthread_join(sender, NULL);
	_exit(0);
}

/* ---- pairs ----------------------------------------------------------------------- */

/* In the server's namespace, on a port that is free; sets it in address. */
static int listening(void)
{
	socklen_t len = sizeof(address);
	int fd;

	if (setns(ns[SERVER], CLONE_NEWNET))
		die("setns");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_port = 0;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 8) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		die("listen");
	return fd;
}

static pid_t start_end(const struct pair *pair, int side, int listener, const int *alive)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The client's end of the pipe closes with it. */
	close(alive[side == CLIENT ? 0 : 1]);
	if (side == CLIENT)
		close(listener);
	run_end(pair, side, listener, alive[0]);
}

static void start_pair(struct pair *pair, unsigned int id)
{
	unsigned int victim = rand() % 5;
	int listener, alive[2];

	pair->id = id;
	pair->mode = rand() % MODES;
	memset(pair->shared, 0, sizeof(*pair->shared));
	memset(pair->killed, 0, sizeof(pair->killed));
	pair->to_be_killed[CLIENT] = victim <= 2;
	pair->to_be_killed[SERVER] = victim >= 2;
	/* A quarter of them as they connect. */
	pair->bytes = rand() % 4 ? 1 + rand() % (1 << rand() % 21) : 0;
	pair->delay = rand() % (pair->bytes ? 3000000 : 20000000);
	pair->due = 0;
	pair->began = now();
	listener = listening();
	if (pipe(alive))
		die("pipe");
	pair->pid[SERVER] = start_end(pair, SERVER, listener, alive);
	pair->pid[CLIENT] = start_end(pair, CLIENT, listener, alive);
	close(listener);
	close(alive[0]);
	close(alive[1]);
}

static void kill_due(struct pair *pair)
{
	if (!pair->due && pair->shared->taken[0] + pair->shared->taken[1] >= pair->bytes)
		pair->due = now() + pair->delay;
	if (!pair->due || now() < pair->due)
		return;
	for (int side = 0; side < 2; side++) {
		if (!pair->to_be_killed[side] || pair->killed[side] || !pair->pid[side])
			continue;
		kill(pair->pid[side], SIGKILL);
		pair->killed[side] = true;
		/* The other one a moment later, if it has not ended by then. */
		pair->due = now() + rand() % 1000000;
		return;
	}
}

/* Returns false if an end was wrong. */
static bool reap(struct pair *pair, unsigned int *killed, unsigned int *survivors)
{
	bool right = true;
	int side, status;

	for (side = 0; side < 2; side++) {
		if (!pair->pid[side] || waitpid(pair->pid[side], &status, WNOHANG) <= 0)
			continue;
		pair->pid[side] = 0;
		if (WIFSIGNALED(status) ? !pair->killed[side] : status)
			right = false;
		else if (WIFEXITED(status))
			++*survivors;
		else
			++*killed;
		/* Nobody ends before one is killed. */
		if (!pair->killed[0] && !pair->killed[1])
			right = false;
	}
	if (!right)
		fprintf(stderr, "pair %u: an end has failed\n", pair->id);
	return right;
}

static void show_hang(const struct pair *pair)
{
	char command[128];

	for (int side = 0; side < 2; side++) {
		fprintf(stderr, "pair %u, mode %d: %s %s, %lu sent\n", pair->id, pair->mode,
			side ? "server" : "client", pair->pid[side] ? "hangs" : "has ended",
			(unsigned long)pair->shared->taken[side]);
		snprintf(command, sizeof(command), "grep -H . /proc/%d/task/*/wchan >&2",
			 pair->pid[side]);
		if (pair->pid[side] && system(command))
			fprintf(stderr, "where is not known\n");
	}
}

int main(int argc, char **argv)
{
	static struct pair pairs[MOST_AT_ONCE];
	unsigned int kills, killed = 0, at_once, id = 0, survivors = 0, i;
	bool right = true, running;

	if (argc != 7 || (at_once = atoi(argv[2])) > MOST_AT_ONCE) {
		fprintf(stderr, "usage: kill KILLS AT_ONCE SEED CLIENT_NS SERVER_NS ADDRESS\n");
		return 2;
	}
	kills = atoi(argv[1]);
	seed = atoi(argv[3]);
	srand(seed);
	ns[CLIENT] = open(argv[4], O_RDONLY | O_CLOEXEC);
	ns[SERVER] = open(argv[5], O_RDONLY | O_CLOEXEC);
	address.sin_family = AF_INET;
	if (ns[CLIENT] < 0 || ns[SERVER] < 0 || inet_pton(AF_INET, argv[6], &address.sin_addr) != 1)
		die("arguments");
	for (i = 0; i < at_once; i++) {
		pairs[i].shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (pairs[i].shared == MAP_FAILED)
			die("mmap");
	}
	do {
		running = false;
		for (i = 0; i < at_once && right; i++) {
			struct pair *pair = &pairs[i];

			if (!pair->pid[0] && !pair->pid[1]) {
				if (killed >= kills)
					continue;
				start_pair(pair, id++);
			}
			running = true;
			kill_due(pair);
			right = reap(pair, &killed, &survivors);
			if (now() - pair->began > HANGS) {
				show_hang(pair);
				right = false;
			}
		}
		nap(300);
	} while (running && right);
	printf("{\"event\": \"done\", \"ok\": %s, \"seed\": %u, \"pairs\": %u, \"killed\": %u, "
	       "\"survivors\": %u}\n",
	       right ? "true" : "false", seed, id, killed, survivors);
	return !right;
}
