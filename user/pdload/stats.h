/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters that the kernel keeps per CPU, as one number. */
#ifndef PD_STATS_H
#define PD_STATS_H

#include "pdload.h"

/* Add up over all CPUs entry @key of the per-CPU array @fd, whose value is
 * nothing but __u64: @words of them, to @sum. Returns 0 or -errno after
 * p_err().
 */
int pd_stats__sum(int fd, __u32 key, __u64 *sum, size_t words);

#endif /* PD_STATS_H */
