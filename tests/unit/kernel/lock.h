/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test says to the locks. */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <linux/spinlock.h>

/* Call @callback once, before the next spin_lock_bh(). */
void kernel_before_lock(void (*callback)(void *arg), void *arg);
/* Ends the test if this thread holds a lock. */
void kernel_may_sleep(void);

#endif /* KERNEL_LOCK_H */
