/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_WAIT_BIT_H
#define KERNEL_LINUX_WAIT_BIT_H

#include <linux/sched.h>
#include <linux/types.h>

#define wait_var_event(variable, condition) \
	do {                                \
		kernel_wait_begin();        \
		while (!(condition))        \
			kernel_wait();      \
		kernel_wait_end();          \
	} while (0)

void wake_up_var(void *variable);

/* The parts of wait_var_event(): what is waited for is looked at in between. */
void kernel_wait_begin(void);
void kernel_wait(void);
void kernel_wait_end(void);

#endif /* KERNEL_LINUX_WAIT_BIT_H */
