/* SPDX-License-Identifier: GPL-2.0-only */
/* One end of one connection: what it has sent and what it has checked. */
#ifndef TRAFFIC_CONN_H
#define TRAFFIC_CONN_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "pattern.h"
#include "plan.h"

#define CONN_BUFFER (4UL << 20) /* the largest single send or receive */

enum io { IO_LEVEL, IO_EDGE, IO_BLOCK };

#define EXIT_NO_TLS 77 /* this kernel has no TLS */

/* What the sender does to the bytes, so that a test sees the checks work. */
enum fault { FAULT_NONE, FAULT_FLIP, FAULT_LOSE, FAULT_REPEAT, FAULT_STRANGER, FAULT_SHORT };

struct options {
	bool server;
	enum io io;
	enum fault fault;
	struct sockaddr_in6 address; /* IPv4 in an AF_INET sockaddr_in */
	socklen_t address_len;
	struct sockaddr_in6 bind;
	unsigned int first_port; /* of the client, 0: any */
	uint64_t connections; /* at once */
	uint64_t total; /* in all */
	uint64_t rate; /* new connections each second, 0: no limit */
	int mix[32]; /* indices of scenarios */
	int nr_mix;
	struct range size, write, read;
	unsigned int rounds; /* of rr, 0: until told */
	uint32_t seed;
	uint32_t tenant;
	unsigned int stall_limit; /* seconds without progress that are a failure */
	unsigned int time_limit; /* seconds in all */
	unsigned int settle; /* milliseconds without progress of a flood */
	bool greet, nat, hold, stall, tolerate, spurious;
	bool mptcp, fastopen, defer, tls;
};

extern struct options opt;
extern atomic_bool released; /* told to go on and to end */

enum step {
	STEP_MOVED,
	STEP_BLOCKED, /* the kernel says EAGAIN */
	STEP_IDLE, /* nothing to do now */
	STEP_GONE, /* the other end has broken the connection off, as it may */
};

struct conn {
	struct conn *next, *prev;
	int fd;
	int side; /* 0 client, 1 server: also the direction it sends in */
	const struct scenario *scenario; /* NULL on a server that has not read the plan */
	struct plan plan;
	struct greeting greeting;
	struct rng rng, rx_rng; /* two threads may draw */
	uint64_t id;
	uint16_t peer_port; /* as it was at accept() */

	uint64_t tx_key;
	uint64_t tx_pos; /* raw bytes accepted by the kernel, prefix and mark included */
	uint64_t tx_size; /* payload, once decided */
	uint64_t tx_target; /* GATE_ROUND: end of the message */
	uint64_t tx_message; /* bytes left of the write that was drawn */
	uint64_t tx_cap; /* of the next try after a short write */
	uint64_t cut; /* END_RST: payload bytes after which to reset */
	unsigned int rounds;
	bool tx_decided, tx_done;
	atomic_bool tx_gone;

	uint64_t rx_key;
	_Atomic uint64_t rx_pos; /* payload bytes received and checked */
	_Atomic unsigned int rx_mark; /* bytes of the mark received */
	size_t rx_prefix; /* bytes of plan or greeting received */
	atomic_bool rx_ready; /* the prefix is complete: the other direction may start */
	bool rx_eof;

	/* epoll */
	struct conn *run_next;
	bool connecting, can_read, can_write, running, parked, blocked;
	uint32_t interest;
	_Atomic uint64_t moved; /* time of the last progress, ns */
};

struct totals {
	_Atomic uint64_t started, completed, aborted, resets, early_ends, refused;
	_Atomic uint64_t sent, received;
	_Atomic uint64_t tls; /* ends that have the kernel's */
	_Atomic uint64_t spurious; /* EAGAIN from a blocking recv() */
};

extern struct totals totals;

uint64_t now_ns(void);

/* Draw the plan of client connection @id. */
void conn_plan(struct conn *conn, uint64_t id);
/* A connection that the server has accepted. */
void conn_accepted(struct conn *conn, uint64_t id, const struct sockaddr_in6 *peer);
/* What follows connect(), before the first byte. */
void conn_connected(struct conn *conn);

/* One send() or recv() through @buf of CONN_BUFFER bytes. A wrong byte, a
 * missing one, or an end that should not be prints the case and ends the
 * process.
 */
enum step conn_send(struct conn *conn, unsigned char *buf);
enum step conn_receive(struct conn *conn, unsigned char *buf);

/* True if conn_send() has something to do, or conn_receive() may have. */
bool conn_wants_send(struct conn *conn);
bool conn_wants_receive(const struct conn *conn);
/* Everything that this end is to do is done: conn_close() it. */
bool conn_finished(const struct conn *conn);
/* It is to be closed once something is unread. */
bool conn_leaves_unread(const struct conn *conn);
/* Close in the way the scenario says and count it. */
void conn_close(struct conn *conn);

/* No progress is expected: told to wait, or the other end is. */
bool conn_may_rest(const struct conn *conn);
/* Bytes and kernel state of this end, one line on stderr. */
void conn_print(const struct conn *conn, const char *why);
/* Print and end the process with a failure. */
void conn_fail(const struct conn *conn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* In the main file: print the summary and end the process. */
void finish(bool ok) __attribute__((noreturn));

#endif /* TRAFFIC_CONN_H */
