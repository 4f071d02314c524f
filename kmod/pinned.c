// SPDX-License-Identifier: GPL-2.0-only
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>

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

/* As io_uring counts its buffers: per user, and who has CAP_IPC_LOCK may have any. That is asked
 * last, as it takes longer than the rest.
 */
static bool charge(struct pd_pinned *pinned, unsigned long pages)
{
	struct user_struct *user = current_user();
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;

	if (atomic_long_add_return(pages, &user->locked_vm) > limit &&
	    !ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK)) {
		atomic_long_sub(pages, &user->locked_vm);
		return false;
	}
	pinned->user = user;
	pinned->mm = current->mm;
	atomic64_add(pages, &pinned->mm->pinned_vm);
	return true;
}

static void uncharge(struct pd_pinned *pinned, unsigned long pages)
{
	atomic_long_sub(pages, &pinned->user->locked_vm);
	atomic64_sub(pages, &pinned->mm->pinned_vm);
}

bool pd_pin(struct pd_pinned *pinned, unsigned long at, size_t size, unsigned int flags)
{
	int wanted = DIV_ROUND_UP(offset_in_page(at) + size, PAGE_SIZE), nr;

	if (!charge(pinned, wanted))
		return false;
	nr = pin_user_pages_fast(at & PAGE_MASK, wanted, flags, pinned->pages);
	if (nr < wanted)
		uncharge(pinned, wanted - max(nr, 0));
	if (nr <= 0)
		return false;
	pinned->nr = nr;
	pinned->is_written = flags & FOLL_WRITE;
	pinned->window = (struct pd_window){
		.pages = pinned->pages,
		.mm = current->mm,
		.at = at,
		.offset = offset_in_page(at),
		.size = min_t(size_t, size, nr * PAGE_SIZE - offset_in_page(at)),
	};
	return true;
}

bool pd_pin_private(struct pd_pinned *pinned, unsigned long at, size_t size)
{
	int i;

	if (!pd_pin(pinned, at, size, FOLL_WRITE))
		return false;
	for (i = 0; i < pinned->nr; i++) {
		if (!PageAnon(pinned->pages[i])) {
			pd_unpin(pinned, 0);
			return false;
		}
	}
	return true;
}

bool pd_window_has(const struct pd_window *window, const struct iov_iter *iter)
{
	unsigned long at;
	size_t size;

	if (likely(window->mm != current->mm))
		return false;
	size = pd_next_stretch(iter, &at);
	/* Of several stretches, or none of a program's: it may. */
	return size < iov_iter_count(iter) ||
	       (at < window->at + window->size && window->at < at + size);
}

void pd_unpin(struct pd_pinned *pinned, u32 filled)
{
	int used = 0;

	if (pinned->is_written && filled)
		used = DIV_ROUND_UP(pinned->window.offset + filled, PAGE_SIZE);
	unpin_user_pages_dirty_lock(pinned->pages, used, true);
	unpin_user_pages(pinned->pages + used, pinned->nr - used);
	uncharge(pinned, pinned->nr);
}
