/* SPDX-License-Identifier: GPL-2.0-only */
/* One experiment on a scratch pair, in a child process with a time limit: what
 * is tried may block in the kernel for ever.
 */
#ifndef PD_TRIAL_H
#define PD_TRIAL_H

#include "scratch.h"

enum pd_outcome {
	PD_OUTCOME_UNTESTED = 0, /* detail says why */
	PD_OUTCOME_TCP, /* as plain TCP does it */
	PD_OUTCOME_DEFECT,
	PD_OUTCOME_HUNG, /* no end within the limit; the child is gone */
};

struct pd_trial {
	struct pd_scratch pair; /* the child's own; closed when it ends */
	bool enrolled; /* on an enrolled pair, or on a plain one */
	enum pd_outcome outcome;
	double figure; /* of trials that compare */
	char detail[160];
};

/* Runs in the child: ends by one of the three below, on every path. */
typedef void (*pd_trial_fn)(struct pd_trial *trial);

void pd_trial__as_tcp(struct pd_trial *trial);
void pd_trial__defect(struct pd_trial *trial, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void pd_trial__untested(struct pd_trial *trial, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Run @fn on a pair of its own for at most @limit_ms. With @late the pair is
 * plain and @fn itself enrols it if trial->enrolled says so. Leaves no process
 * behind.
 */
void pd_trial__run(struct pd_trial *trial, pd_trial_fn fn, bool enrolled, bool late, int limit_ms);

#endif /* PD_TRIAL_H */
