// SPDX-License-Identifier: GPL-2.0-only
#include <linux/highmem.h>

#include "copy.h"

void pd_copy_init(struct pd_copy *copy)
{
	copy->source.nr = 0;
	copy->source.bytes = 0;
	copy->target.nr = 0;
	copy->target.bytes = 0;
	copy->channel = NULL;
}

void pd_side_add(struct pd_side *side, struct page *page, u32 offset, u32 bytes)
{
	struct scatterlist *last = side->stretches + side->nr - 1;

	if (side->nr && page_to_pfn(sg_page(last)) * PAGE_SIZE + last->offset + last->length ==
				page_to_pfn(page) * PAGE_SIZE + offset) {
		last->length += bytes;
	} else {
		if (side->nr)
			sg_unmark_end(last);
		*++last = (struct scatterlist){};
		sg_set_page(last, page, bytes, offset);
		sg_mark_end(last);
		side->nr++;
	}
	side->bytes += bytes;
}

void pd_side_add_window(struct pd_side *side, const struct pd_window *window, u32 from, u32 bytes)
{
	u32 at = window->offset + from, part;

	for (; bytes; bytes -= part, at += part) {
		part = min_t(u32, bytes, PAGE_SIZE - offset_in_page(at));
		pd_side_add(side, window->pages[at / PAGE_SIZE], offset_in_page(at), part);
	}
}

/* Byte @at of @side: *@left are contiguous from there. */
static void *address_of(struct pd_side *side, u32 at, u32 *left)
{
	struct scatterlist *stretch = side->stretches;

	for (; at >= stretch->length; stretch++)
		at -= stretch->length;
	*left = stretch->length - at;
	return sg_virt(stretch) + at;
}

void pd_copy_by_cpu(struct pd_copy *copy, u32 from, u32 to)
{
	u32 source_left, target_left, part;
	void *source, *target;

	/* All memory has an address. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_HIGHMEM));
	for (; from < to; from += part) {
		source = address_of(&copy->source, from, &source_left);
		target = address_of(&copy->target, from, &target_left);
		part = min3(to - from, source_left, target_left);
		memcpy(target, source, part);
	}
}
