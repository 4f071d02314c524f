/* SPDX-License-Identifier: GPL-2.0-only */
/* A stretch of the memory of a program that waits in recv(), pinned, as a window of its
 * receive buffer.
 */
#ifndef PD_PINNED_H
#define PD_PINNED_H

#include <linux/uio.h>

#include "rbt.h"

/* Bytes at most: it is on the stack. */
#define PD_PINNED_MAX (128 << 10)

struct pd_pinned {
	struct pd_window window;
	struct page *pages[PD_PINNED_MAX / PAGE_SIZE + 1];
	int nr;
};

/* The stretch of user memory that @iter comes to next: *@at is its address. Returns its size
 * in bytes, 0 if it is none.
 */
size_t pd_next_stretch(const struct iov_iter *iter, unsigned long *at);
/* Pin @size bytes, PD_PINNED_MAX at most, of the current task's memory from @at on, or the
 * first pages of them. False if it cannot be. Process context, may sleep.
 */
bool pd_pin(struct pd_pinned *pinned, unsigned long at, size_t size);
/* The first @filled bytes have been written to. May sleep. */
void pd_unpin(struct pd_pinned *pinned, u32 filled);

#endif /* PD_PINNED_H */
