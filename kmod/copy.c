// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>

#include "copy.h"

/* Bytes, of enum dmaengine_alignment the largest. */
#define WORD_MAX 256

void pd_side_init(struct pd_side *side)
{
	side->nr = 0;
	side->bytes = 0;
}

void pd_copy_init(struct pd_copy *copy)
{
	pd_side_init(&copy->source);
	pd_side_init(&copy->target);
	copy->channel = NULL;
}

static __always_inline void add_stretch(struct pd_side *side, struct page *page, u32 offset,
					u32 bytes)
{
	struct scatterlist *stretch = side->stretches + side->nr++;

	*stretch = (struct scatterlist){};
	sg_set_page(stretch, page, bytes, offset);
	side->bytes += bytes;
}

void pd_side_add(struct pd_side *side, struct page *page, u32 offset, u32 bytes)
{
	struct scatterlist *last = side->stretches + side->nr - 1;

	if (!side->nr || last->length + bytes > PD_STRETCH_MAX ||
	    page_to_pfn(sg_page(last)) * PAGE_SIZE + last->offset + last->length !=
		    page_to_pfn(page) * PAGE_SIZE + offset) {
		add_stretch(side, page, offset, bytes);
		return;
	}
	last->length += bytes;
	side->bytes += bytes;
}

void pd_side_add_window(struct pd_side *side, const struct pd_window *window, u32 from, u32 bytes)
{
	u32 at = window->offset + from, part, most;
	struct page **first, **page;
	unsigned long pfn;

	for (; bytes; bytes -= part, at += part) {
		page = first = window->pages + at / PAGE_SIZE;
		pfn = page_to_pfn(*first);
		part = PAGE_SIZE - offset_in_page(at);
		/* Cut where a channel that copies whole words has none in two. */
		most = bytes <= PD_STRETCH_MAX ? bytes : PD_STRETCH_MAX - at % WORD_MAX;
		/* A huge page is hundreds of them. */
		for (; part < most; part += PAGE_SIZE)
			if (page_to_pfn(*++page) != ++pfn)
				break;
		part = min(part, most);
		add_stretch(side, *first, offset_in_page(at), part);
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

static __always_inline void move(struct cursor *cursor, u32 bytes)
{
	cursor->at += bytes;
	if (cursor->at == cursor->stretch->length)
		*cursor = (struct cursor){ cursor->stretch + 1, 0 };
}

/* What is contiguous on both sides. */
struct part {
	struct cursor source, target;
	void *from, *to;
	u32 bytes, left, most;
};

/* The first part of bytes @from to @to, which are one at least; none is longer than @most. */
static __always_inline struct part first_part(struct pd_copy *copy, u32 from, u32 to, u32 most)
{
	return (struct part){
		.source = cursor_at(&copy->source, from),
		.target = cursor_at(&copy->target, from),
		.left = to - from,
		.most = most,
	};
}

static __always_inline void next_part(struct part *part)
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
	part->bytes = min(part->bytes, part->most);
	part->left -= part->bytes;
}

void pd_copy_by_cpu(struct pd_copy *copy, u32 from, u32 to)
{
	struct part part;

	if (from == to)
		return;
	part = first_part(copy, from, to, U32_MAX);
	while (part.left) {
		next_part(&part);
		memcpy(part.to, part.from, part.bytes);
	}
}

/* ---- has it been written? ------------------------------------------------------------ */

/* The last bytes of a part, as many as there are of eight. */
static __always_inline u64 tail_of(const void *begin, u32 bytes)
{
	u64 tail = 0;

	if (likely(bytes >= sizeof(tail)))
		memcpy(&tail, begin + bytes - sizeof(tail), sizeof(tail));
	else
		memcpy(&tail, begin, bytes);
	return tail;
}

/* What the source does not have there, in any byte, and nobody else knows. */
static __always_inline u64 mark_of(const struct pd_copy *copy, u64 tail, u32 bytes)
{
	return (tail ^ copy->key) & (bytes < sizeof(tail) ? BIT_ULL(8 * bytes) - 1 : U64_MAX);
}

static __always_inline void mark_tail(void *begin, u32 bytes, u64 tail)
{
	if (likely(bytes >= sizeof(tail)))
		memcpy(begin + bytes - sizeof(tail), &tail, sizeof(tail));
	else
		memcpy(begin, &tail, bytes);
}

/* Mark the end of each part, or see whether all have been written: then true. */
static __always_inline bool pass_tails(struct pd_copy *copy, u32 from, u32 to, u32 most,
				       bool is_marking)
{
	struct part part = first_part(copy, from, to, most);
	u64 tail;

	while (part.left) {
		next_part(&part);
		tail = tail_of(part.from, part.bytes);
		if (is_marking)
			mark_tail(part.to, part.bytes, mark_of(copy, tail, part.bytes));
		else if (tail_of(part.to, part.bytes) != tail)
			return false;
	}
	return true;
}

void pd_copy_mark(struct pd_copy *copy, u32 from, u32 to, u32 most)
{
	/* Another each time (Knuth's MMIX generator); no byte of it is 0. */
	copy->key = (copy->key * 6364136223846793005 + 1442695040888963407) | 0x0101010101010101;
	pass_tails(copy, from, to, most, true);
}

bool pd_copy_is_written(struct pd_copy *copy, u32 from, u32 to, u32 most)
{
	return pass_tails(copy, from, to, most, false);
}

bool pd_copy_is_marked(struct pd_copy *copy, u32 from, u32 to, u32 most)
{
	struct part part = first_part(copy, from, to, most);

	while (part.left) {
		next_part(&part);
		if (tail_of(part.to, part.bytes) ==
		    mark_of(copy, tail_of(part.from, part.bytes), part.bytes))
			return true;
	}
	return false;
}
