/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_REFCOUNT_H
#define KERNEL_LINUX_REFCOUNT_H

#include <linux/kernel.h>

typedef struct {
	int count;
} refcount_t;

static inline void refcount_set(refcount_t *refs, int count)
{
	__atomic_store_n(&refs->count, count, __ATOMIC_SEQ_CST);
}

static inline void refcount_inc(refcount_t *refs)
{
	if (__atomic_fetch_add(&refs->count, 1, __ATOMIC_SEQ_CST) <= 0)
		kernel_die("a reference is taken of what has gone");
}

static inline bool refcount_inc_not_zero(refcount_t *refs)
{
	int count = __atomic_load_n(&refs->count, __ATOMIC_SEQ_CST);

	while (count > 0)
		if (__atomic_compare_exchange_n(&refs->count, &count, count + 1, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return false;
}

static inline bool refcount_dec_and_test(refcount_t *refs)
{
	int count = __atomic_sub_fetch(&refs->count, 1, __ATOMIC_SEQ_CST);

	if (count < 0)
		kernel_die("a reference is put twice");
	return !count;
}

#endif /* KERNEL_LINUX_REFCOUNT_H */
