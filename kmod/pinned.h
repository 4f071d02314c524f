/* SPDX-License-Identifier: GPL-2.0-only */
/* A stretch of the memory of the program that calls, pinned: of one that waits in recv(), as
 * a window of its receive buffer, or one that a DMA channel reads or writes.
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
	bool is_written;
	struct user_struct *user; /* whom the pages are charged to */
	struct mm_struct *mm; /* likewise */
};

/* The stretch of user memory that @iter comes to next: *@at is its address. Returns its size
 * in bytes, 0 if it is none.
 */
size_t pd_next_stretch(const struct iov_iter *iter, unsigned long *at);
/* Pin @size bytes, PD_PINNED_MAX at most, of the current task's memory from @at on, or the
 * first pages of them. They count against RLIMIT_MEMLOCK, as the
 * buffers of io_uring do. False if it cannot be. Process context, may sleep; with FOLL_NOFAULT in
 * @flags not for pages that are not there, and with FOLL_WRITE they are written to.
 */
bool pd_pin(struct pd_pinned *pinned, unsigned long at, size_t size, unsigned int flags);
/* Likewise, to be written to, if no other process has them, nor this one at a second address, who may
 * send what is put there: pages of files and shared memory are not pinned.
 */
bool pd_pin_private(struct pd_pinned *pinned, unsigned long at, size_t size);
/* Of a window of another thread's, private and claimed: some of @iter, which current sends, may be
 * that memory itself. What is copied there would change what is still to be copied.
 */
bool pd_window_has(const struct pd_window *window, const struct iov_iter *iter);
/* The first @filled bytes have been written to, if it was for that. By the task that pinned
 * them; may sleep.
 */
void pd_unpin(struct pd_pinned *pinned, u32 filled);

#endif /* PD_PINNED_H */
