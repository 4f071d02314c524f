/* SPDX-License-Identifier: GPL-2.0-only */
/* Delayed work runs when a test says so. */

/* Run what is pending, and not what becomes so. Returns how many. */
#ifndef KERNEL_WORK_H
#define KERNEL_WORK_H

unsigned int kernel_run_work(void);
unsigned int kernel_pending_work(void);

#endif /* KERNEL_WORK_H */
