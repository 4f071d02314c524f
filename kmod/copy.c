// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>

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

	if (side->nr && last->length + bytes <= PD_STRETCH_MAX &&
	    page_to_pfn(sg_page(last)) * PAGE_SIZE + last->offset + last->length ==
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

/* ---- both sides, part by part -------------------------------------------------------- */

struct cursor {
	struct scatterlist *stretch;
	u32 at; /* in it */
};

static struct cursor cursor_at(struct pd_side *side, u32 at)
{
	struct scatterlist *stretch = side->stretches;

	for (; at >= stretch->length; stretch++)
		at -= stretch->length;
	return (struct cursor){ stretch, at };
}

static void *address_of(const struct cursor *cursor)
{
	return sg_virt(cursor->stretch) + cursor->at;
}

static void move(struct cursor *cursor, u32 bytes)
{
	cursor->at += bytes;
	if (cursor->at == cursor->stretch->length)
		*cursor = (struct cursor){ cursor->stretch + 1, 0 };
}

/* What is contiguous on both sides. */
struct part {
	struct cursor source, target;
	void *from, *to;
	u32 bytes, left;
};

/* The first part of bytes @from to @to, which are one at least. */
static struct part first_part(struct pd_copy *copy, u32 from, u32 to)
{
	return (struct part){
		.source = cursor_at(&copy->source, from),
		.target = cursor_at(&copy->target, from),
		.left = to - from,
	};
}

static void next_part(struct part *part)
{
	/* All memory has an address. */
	BUILD_BUG_ON(IS_ENABLED(CONFIG_HIGHMEM));
	if (part->bytes) {
		move(&part->source, part->bytes);
		move(&part->target, part->bytes);
	}
	part->from = address_of(&part->source);
	part->to = address_of(&part->target);
	part->bytes = min3(part->left, part->source.stretch->length - part->source.at,
			   part->target.stretch->length - part->target.at);
	part->left -= part->bytes;
}

void pd_copy_by_cpu(struct pd_copy *copy, u32 from, u32 to)
{
	struct part part;

	if (from == to)
		return;
	part = first_part(copy, from, to);
	while (part.left) {
		next_part(&part);
		memcpy(part.to, part.from, part.bytes);
	}
}

/* ---- has it been written? ------------------------------------------------------------ */

/* The last bytes of a part, as many as there are of eight. */
static u64 tail_of(const void *begin, u32 bytes)
{
	u64 tail = 0;

	if (likely(bytes >= sizeof(tail)))
		memcpy(&tail, begin + bytes - sizeof(tail), sizeof(tail));
	else
		memcpy(&tail, begin, bytes);
	return tail;
}

void pd_copy_mark(struct pd_copy *copy, u32 from, u32 to)
{
	struct part part = first_part(copy, from, to);
	u64 tail;

	while (part.left) {
		next_part(&part);
		/* What the source does not have there. */
		tail = ~tail_of(part.from, part.bytes);
		if (likely(part.bytes >= sizeof(tail)))
			memcpy(part.to + part.bytes - sizeof(tail), &tail, sizeof(tail));
		else
			memcpy(part.to, &tail, part.bytes);
	}
}

bool pd_copy_is_written(struct pd_copy *copy, u32 from, u32 to)
{
	struct part part = first_part(copy, from, to);

	while (part.left) {
		next_part(&part);
		if (tail_of(part.from, part.bytes) != tail_of(part.to, part.bytes))
			return false;
	}
	return true;
}
