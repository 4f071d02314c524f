/* SPDX-License-Identifier: GPL-2.0-only */
/* What it costs to copy a message, by the CPU and by DMA, as measured here. */
#ifndef PD_CALIBRATE_H
#define PD_CALIBRATE_H

#include <linux/list.h>
#include <linux/types.h>

#include "engine.h"

/* 4 KiB to 4 MiB. */
#define PD_CALIBRATED_SIZES 11

struct pd_calibration {
	struct list_head list;
	int node;
	struct pd_calibrated {
		u32 bytes;
		u64 cpu_ns, one_ns, all_ns; /* by one channel, by all of them */
	} pages[PD_CALIBRATED_SIZES], huge[PD_CALIBRATED_SIZES]; /* buffers of either kind */
};

/* One for each NUMA node that has been measured. The caller of the functions protects it. */
extern struct list_head pd_calibrations;

/* Measure each node that has CPUs, which takes a second or so for each, from memory of
 * the current task, as send() does. -ENOMEM, -EINTR; -ENODEV without a channel. On the CPUs of
 * each node in turn. Channels must stay meanwhile.
 */
int pd_calibrate(void);
/* From which on DMA is never slower on @node; PD_DMA_NEVER if it is, or nothing was measured. */
struct pd_dma_from pd_calibrated_from(int node);
void pd_calibrate_exit(void);

#endif /* PD_CALIBRATE_H */
