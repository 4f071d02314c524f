/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of the module, as /proc/pipedevice_stat shows them. They only grow, but
 * for those that count what is there now (Curr).
 */
#ifndef PD_STATS_H
#define PD_STATS_H

#include <linux/percpu.h>

enum pd_stat {
	PD_STAT_CURR_CONNS, /* sockets that are attached */
	PD_STAT_ATTACHED, /* sockets that have been */
	PD_STAT_ATTACH_REFUSED, /* not attachable: no psock, a ULP, no memory */
	PD_STAT_RELEASED, /* live sockets that went back to TCP */
	PD_STAT_CPU_BYTES, /* payload that was redirected, copied by the CPU */
	PD_STAT_CPU_MESSAGES, /* send() calls, or parts of them, that moved it */
	PD_STAT_CPU_DIRECT_BYTES, /* of these, straight into the memory of a waiting reader */
	PD_STAT_DMA_BYTES, /* redirected payload that DMA copied */
	PD_STAT_DMA_DIRECT_BYTES, /* of these, straight into the memory of a waiting reader */
	PD_STAT_DMA_DRAINED_BYTES, /* payload that DMA copied out of a receive buffer */
	PD_STAT_DMA_SEGMENTS, /* copies that were given to a channel */
	PD_STAT_DMA_ERRORS, /* of these, those whose channel said that it failed */
	PD_STAT_DMA_TIMEOUTS, /* times that a channel was stopped, as a copy did not end */
	PD_STAT_DMA_REDONE, /* copies that the CPU did again, after an error or a stop */
	PD_STAT_DMA_REFUSED, /* times that a driver had no room for a descriptor */
	PD_STAT_DMA_NO_CHANNEL, /* copies for which no channel was active */
	PD_STAT_TCP_NO_MEMORY, /* parts of messages that went over TCP for want of memory */
	PD_STAT_TCP_UNSENT, /* messages that followed bytes which TCP still held back */
	PD_STAT_TCP_READER, /* messages to a reader that asks for what only TCP gives */
	PD_STAT_TCP_PEER_GONE, /* messages whose reader had closed or was not attached */
	PD_STAT_FULL, /* times that a sender found no room */
	PD_STAT_CURR_POOL_BYTES, /* memory of the pools */
	PD_STAT_MAX,
};

DECLARE_PER_CPU(s64[PD_STAT_MAX], pd_stats);

/* Any context. */
static inline void pd_stat_add(enum pd_stat stat, s64 n)
{
	this_cpu_add(pd_stats[stat], n);
}

static inline void pd_stat_inc(enum pd_stat stat)
{
	pd_stat_add(stat, 1);
}

int pd_stats_init(void);
void pd_stats_exit(void);

#endif /* PD_STATS_H */
