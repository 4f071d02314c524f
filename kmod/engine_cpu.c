// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

#include "engine.h"

u32 pd_engine_cpu_fill(struct pd_frame *frame, struct iov_iter *from, u32 bytes)
{
	return copy_from_iter(frame->data + frame->filled, bytes, from);
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
	return copy_to_iter(frame->data + offset, bytes, to);
}
