/* SPDX-License-Identifier: GPL-2.0-only */
/* One copy from memory to memory, of pages that stay where they are until it is over. */
#ifndef PD_COPY_H
#define PD_COPY_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/scatterlist.h>

#include "pinned.h"

struct pd_channel;

/* Stretches on either side: as many as a pinned one has pages, or its frames, where pages are
 * large.
 */
#define PD_COPY_STRETCHES (PD_PINNED_MAX / PAGE_SIZE + 3)
/* Bytes of one: what a device takes at once that says nothing of it. */
#define PD_STRETCH_MAX (64 << 10)

/* One side: stretches that are contiguous in memory, in order. */
struct pd_side {
	struct scatterlist stretches[PD_COPY_STRETCHES];
	unsigned int nr;
	unsigned int mapped; /* how many there are for the device */
	u32 bytes;
};

struct pd_copy {
	struct pd_side source, target;
	u32 bytes;
	/* The rest is cmdq.c's. */
	struct pd_channel *channel; /* NULL: none, the CPU copies */
	struct list_head list; /* in channel->copies, under its lock */
	u32 begin, end; /* what the channel copies; what is before and behind is the CPU's */
	u32 copied; /* up to here it has */
	u32 queued; /* up to here descriptors have been given to the driver */
	atomic_t left; /* descriptors that have not ended */
	unsigned long deadline; /* jiffies: then the channel is stopped, unless it moves */
	unsigned int extended; /* so often it did */
	int ended; /* channel->ended a time limit before the deadline */
	bool failed; /* one of them did, and its driver says so */
	bool lied; /* all did well, they say, and did not */
	bool stopped; /* the channel was, for this or another copy on it */
	s32 cookie; /* of the last one */
	u64 key; /* of its marks; random, from the beginning */
	struct completion done; /* initialized with the memory that it is in */
};

/* Nothing on it. */
void pd_side_init(struct pd_side *side);
/* Nothing on either side. */
void pd_copy_init(struct pd_copy *copy);
/* @bytes from @offset of @page on, which are contiguous, come next. The caller keeps
 * them where they are, and adds PD_COPY_STRETCHES at most.
 */
void pd_side_add(struct pd_side *side, struct page *page, u32 offset, u32 bytes);
/* Likewise @bytes of pages of @window, from its byte @from on. Nothing is on @side yet. */
void pd_side_add_window(struct pd_side *side, const struct pd_window *window, u32 from, u32 bytes);
/* The CPU copies from byte @from up to @to. Any context. */
void pd_copy_by_cpu(struct pd_copy *copy, u32 from, u32 to);
/* Mark the end of each part of the target, from byte @from up to @to, that a descriptor of @most
 * bytes may stand for; and look whether all those up to @to have been written since. Drivers there
 * are that say of a descriptor which failed, or was never begun, that all went well. @from < @to.
 * Any context.
 */
void pd_copy_mark(struct pd_copy *copy, u32 from, u32 to, u32 most);
bool pd_copy_is_written(struct pd_copy *copy, u32 from, u32 to, u32 most);
/* The mark of a part still stands there: it was not written to. One that neither stands nor
 * is written over with what the source has now may be a program's doing.
 */
bool pd_copy_is_marked(struct pd_copy *copy, u32 from, u32 to, u32 most);

#endif /* PD_COPY_H */
