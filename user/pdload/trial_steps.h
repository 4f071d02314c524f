/* SPDX-License-Identifier: GPL-2.0-only */
/* What trials are made of: bytes from the client to the server of the pair,
 * and calls in threads of their own, as they may block.
 */
#ifndef PD_TRIAL_STEPS_H
#define PD_TRIAL_STEPS_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "trial.h"

#define PD_ARRIVE_MS 1000 /* bytes over loopback, a thread going to sleep */
#define PD_ABSENT_MS 100 /* how long to watch for what should not happen */

long pd_trial__now_ms(void);
/* Whether @fd is ready for one of @events (POLLIN, ...) within @ms. */
bool pd_trial__ready(int fd, short events, int ms);

/* ---- steps: what returns a bool returns false after pd_trial__untested() ---- */

/* Send @text from the client. */
bool pd_trial__give(struct pd_trial *trial, const char *text);
/* Send from the client until a send() would wait, or @most bytes: returns how
 * many, or -1 after pd_trial__untested().
 */
ssize_t pd_trial__fill(struct pd_trial *trial, ssize_t most);
/* Wait until the server has @len bytes to read, however they came. */
bool pd_trial__arrived(struct pd_trial *trial, size_t len);
/* In a trial that is late: enrol the pair, if this is to be. */
bool pd_trial__enrol_if_asked(struct pd_trial *trial);
/* Set an option of the server's socket; @name is for the message. */
bool pd_trial__set(struct pd_trial *trial, int level, int option, int value, const char *name);

/* ---- recv() or send() in a thread ---- */

struct pd_call {
	int fd;
	void *buf; /* NULL: the 16 bytes below */
	size_t len;
	int flags;
	bool sends;
	int done; /* eventfd */
	ssize_t got; /* once it is done */
	int error;
	pthread_t thread;
	atomic_int tid;
	char bytes[16];
};

/* The caller has set what to call; @call lives until the trial ends. */
bool pd_call__start(struct pd_trial *trial, struct pd_call *call);
/* Wait until the thread sleeps in its call. */
bool pd_call__wait_asleep(struct pd_trial *trial, const struct pd_call *call);
/* A thread that sleeps in recv() of @len bytes from the server. */
bool pd_call__recv(struct pd_trial *trial, struct pd_call *call, size_t len, int flags);
bool pd_call__is_done(const struct pd_call *call, int ms);

#endif /* PD_TRIAL_STEPS_H */
