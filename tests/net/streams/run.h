/* SPDX-License-Identifier: GPL-2.0-only */
/* The two ways to run connections: one thread with epoll, or two threads each. */
#ifndef TRAFFIC_RUN_H
#define TRAFFIC_RUN_H

#include "conn.h"

/* In socket.c: a listening socket, or a socket that is to be connected. */
int socket_listen(void);
int socket_connect(uint64_t id, bool nonblocking, bool *connecting);

/* Run until all is done; called with the signals that @signals reads blocked.
 * Each call ends the process through finish().
 */
void run_epoll(int listener, int signals) __attribute__((noreturn));
void run_threads(int listener, int signals) __attribute__((noreturn));

/* In the main file. Signals: SIGTERM and SIGINT release (finish streams, accept
 * no more), SIGUSR1 releases, SIGUSR2 asks for a print of every connection.
 * Returns the signal that was read, or 0.
 */
int take_signal(int signals);
/* Print one JSON line {"event": @name, ...}. */
void event(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

extern bool stopping; /* SIGTERM or SIGINT came */

#endif /* TRAFFIC_RUN_H */
