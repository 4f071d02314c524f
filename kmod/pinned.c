// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>

#include "compat.h"
#include "pinned.h"

size_t pd_next_stretch(const struct iov_iter *iter, unsigned long *at)
{
	if (iter_is_ubuf(iter)) {
		*at = (unsigned long)iter->ubuf + iter->iov_offset;
		return iov_iter_count(iter);
	}
	if (iter_is_iovec(iter) && iter->nr_segs) {
		const struct iovec *iov = pd_iter_iov(iter);

		*at = (unsigned long)iov->iov_base + iter->iov_offset;
		return min(iov->iov_len - iter->iov_offset, iov_iter_count(iter));
	}
	return 0;
}

bool pd_pin(struct pd_pinned *pinned, unsigned long at, size_t size)
{
	int nr = DIV_ROUND_UP(offset_in_page(at) + size, PAGE_SIZE);

	pinned->nr = pin_user_pages_fast(at & PAGE_MASK, nr, FOLL_WRITE, pinned->pages);
	if (pinned->nr <= 0)
		return false;
	pinned->window = (struct pd_window){
		.pages = pinned->pages,
		.offset = offset_in_page(at),
		.size = min_t(size_t, size, pinned->nr * PAGE_SIZE - offset_in_page(at)),
	};
	return true;
}

void pd_unpin(struct pd_pinned *pinned, u32 filled)
{
	int used = filled ? DIV_ROUND_UP(pinned->window.offset + filled, PAGE_SIZE) : 0;

	unpin_user_pages_dirty_lock(pinned->pages, used, true);
	unpin_user_pages(pinned->pages + used, pinned->nr - used);
}
