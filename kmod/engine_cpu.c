// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

#include "engine.h"

/* What is in one page, the kernel need not look up to know that it may be copied: that takes
 * longer than to copy a few hundred bytes. More is not copied page by page.
 */
static bool is_in_page(const void *address, u32 bytes)
{
	return offset_in_page(address) + bytes <= PAGE_SIZE;
}

u32 pd_engine_cpu_fill(struct pd_frame *frame, struct iov_iter *from, u32 bytes)
{
	void *to = frame->data + frame->filled;

	if (is_in_page(to, bytes))
		return copy_page_from_iter(virt_to_page(to), offset_in_page(to), bytes, from);
	return copy_from_iter(to, bytes, from);
}

u32 pd_engine_cpu_fill_window(struct pd_window *window, struct iov_iter *from, u32 bytes)
{
	u32 done = 0, at, part, copied;

	bytes = min(bytes, window->size - window->filled);
	while (done < bytes) {
		at = window->offset + window->filled + done;
		part = min_t(u32, bytes - done, PAGE_SIZE - offset_in_page(at));
		copied = copy_page_from_iter_atomic(window->pages[at / PAGE_SIZE],
						    offset_in_page(at), part, from);
		done += copied;
		if (copied < part)
			break;
	}
	return done;
}

u32 pd_engine_cpu_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes)
{
	const void *from = frame->data + offset;

	if (is_in_page(from, bytes))
		return copy_page_to_iter(virt_to_page(from), offset_in_page(from), bytes, to);
	return copy_to_iter(from, bytes, to);
}
