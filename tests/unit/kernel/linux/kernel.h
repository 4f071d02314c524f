/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_KERNEL_H
#define KERNEL_LINUX_KERNEL_H

#include <linux/bug.h>
#include <linux/types.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define min_t(type, a, b)                      \
	({                                     \
		type min_a = (a), min_b = (b); \
		min_a < min_b ? min_a : min_b; \
	})
#define min(a, b) min_t(__typeof__(a), a, b)
#define min3(a, b, c) min(min(a, b), c)
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xchg(pointer, value) __atomic_exchange_n(pointer, value, __ATOMIC_SEQ_CST)

#endif /* KERNEL_LINUX_KERNEL_H */
