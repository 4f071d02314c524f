/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_SCHED_H
#define KERNEL_LINUX_SCHED_H

#include <asm/page.h>

long schedule_timeout_uninterruptible(long jiffies);

#endif /* KERNEL_LINUX_SCHED_H */
