/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of receive buffers. A pool belongs to one memory cgroup and one node.
 * It takes blocks from the page allocator, of huge-page size once it needs that
 * much and charged to the cgroup, and hands out frames: parts of a block, of
 * 64 KiB or of a page. Blocks whose frames are all back are kept for a second or two,
 * or until memory is short.
 */
#ifndef PD_POOL_H
#define PD_POOL_H

#include <linux/list.h>
#include <linux/types.h>

struct mem_cgroup;
struct pd_block;
struct pd_pool;

#define PD_FRAME_SMALL PAGE_SIZE
#define PD_FRAME_LARGE ((u32)(64 << 10))
#define PD_FRAME_HEADER 64

/* The head of a frame: of a large one beside its block, so that the payload begins with a
 * page and a message of 64 KiB fits, of a small one in its first bytes. But for what says
 * that it is the pool's, it belongs to the receive buffer that holds the frame and is
 * protected by its lock. 0 <= taken <= filled <= reserved.
 */
struct pd_frame {
	struct list_head list;
	struct pd_block *block; /* the pool's */
	u8 *data; /* the pool's: the payload */
	u32 size; /* the pool's: bytes of memory that it takes */
	u32 seq; /* write_seq of the sender when the first byte was reserved */
	u32 reserved; /* offset into data[] up to which the producer has it */
	u32 filled; /* offset up to which it is READY */
	u32 taken; /* offset up to which the consumer has read */
};

/* Payload bytes of a frame that takes @size bytes. */
static inline u32 pd_frame_room(u32 size)
{
	return size == PD_FRAME_SMALL ? size - PD_FRAME_HEADER : size;
}

static inline u32 pd_frame_capacity(const struct pd_frame *frame)
{
	return pd_frame_room(frame->size);
}

int pd_pool_init(void);
/* All pools must have been put; waits for what they do in the background. */
void pd_pool_exit(void);

/* The pool of @memcg (NULL: nobody pays) on this node, with a reference for the
 * caller. May sleep as @gfp says. NULL if there is no memory.
 */
struct pd_pool *pd_pool_get(struct mem_cgroup *memcg, gfp_t gfp);
/* Any context. Takes NULL. */
void pd_pool_put(struct pd_pool *pool);
/* True if frames of @pool are charged to @memcg. */
bool pd_pool_is_of(const struct pd_pool *pool, const struct mem_cgroup *memcg);

/* A frame for @bytes of payload, or a smaller one. May sleep as @gfp says, never
 * runs the OOM killer. NULL if there is no memory, or the cgroup's limit is reached.
 */
struct pd_frame *pd_pool_take(struct pd_pool *pool, size_t bytes, gfp_t gfp);
/* Likewise, NULL if the pool would have to grow. Any context, bottom halves disabled. */
struct pd_frame *pd_pool_take_ready(struct pd_pool *pool, size_t bytes);
/* Any context, bottom halves disabled. */
void pd_pool_give_back(struct pd_frame *frame);

#endif /* PD_POOL_H */
