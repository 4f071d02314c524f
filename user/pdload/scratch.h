/* SPDX-License-Identifier: GPL-2.0-only */
/* A connected pair of TCP sockets on loopback, of this process alone, either
 * plain or enrolled in a sockmap of its own whose program redirects everything:
 * what the kernel really does is tried on it, and nothing else is touched.
 */
#ifndef PD_SCRATCH_H
#define PD_SCRATCH_H

#include "pdload.h"

struct pd_scratch {
	int client;
	int server;
	void *skel; /* NULL for a plain pair */
};

/* 0 or -errno, without a message. A running pdload that enrols the sockets
 * loses them again; -EBUSY: the sockmap of another agent has them.
 */
int pd_scratch__open(struct pd_scratch *pair, bool enrolled);
/* Enrol an open plain pair: what was sent before stays in its TCP queues. */
int pd_scratch__enrol(struct pd_scratch *pair);
void pd_scratch__close(struct pd_scratch *pair);

/* Report what the sockmap engine needs and this kernel or host lacks, each as
 * a sentence with what to do, in one p_err_each(). Returns how many.
 */
int pd_features__missing(void);

#endif /* PD_SCRATCH_H */
