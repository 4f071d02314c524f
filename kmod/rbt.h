/* SPDX-License-Identifier: GPL-2.0-only */
/* The receive buffer of one socket: redirected bytes that its reader has not
 * taken yet, in frames of a pool, as many as there are bytes for and none when
 * there are none.
 *
 * One producer at a time (the sender, its socket locked) and one consumer at a
 * time (the reader, conn->read_mutex held). Bytes are reserved in stream order
 * and become visible in stream order.
 *
 * Order against TCP: a frame carries the sender's write_seq, which redirected
 * bytes do not advance. A reader whose copied_seq has come that far has read
 * every TCP byte that was sent before, and none that was sent after.
 */
#ifndef PD_RBT_H
#define PD_RBT_H

#include <linux/list.h>
#include <linux/spinlock.h>

#include "pool.h"

/* A waiting reader's own memory: bytes that come next in the stream may be put there
 * instead of into a frame. The reader's, on its stack, until pd_rbt_close_window().
 */
struct pd_window {
	struct page **pages; /* pinned for writing */
	const void *mm; /* whose memory it is, and where there */
	unsigned long at;
	u32 offset; /* of the first byte, in the first page */
	u32 size;
	u32 filled; /* READY; the producer's while busy */
	bool busy; /* the producer is in it */
};

struct pd_rbt {
	/* These two are the tail of struct pd_sock_info; written under the lock. */
	u32 unread; /* payload bytes that are READY */
	u32 held; /* bytes of the frames */
	spinlock_t lock; /* protects the frames, but for their payload, and closed */
	struct list_head frames;
	bool closed; /* nothing is reserved any more */
	bool consuming; /* the consumer looks at frames: they stay */
	bool blocked; /* the producer waits for room, see pd_rbt_wants_room() */
	struct pd_window *window; /* of a reader that waits with nothing to read, or NULL */
	u32 limit; /* of held; the producer's, and a large frame until it says something */
	u32 changes; /* counts what the producer did that a waiting consumer has to look at */
};

void pd_rbt_init(struct pd_rbt *rbt);
/* No more bytes; those that nobody has read are dropped. Returns how many. No
 * new consumer. Any context.
 */
u32 pd_rbt_close(struct pd_rbt *rbt);
/* No more bytes, if there is no frame. Returns true if it is closed. Any context. */
bool pd_rbt_close_if_empty(struct pd_rbt *rbt);

/* ---- the producer ---- */

/* A frame of @rbt with room for some of @bytes, at @seq; *@room says for how
 * many, from offset frame->reserved - *@room on. It is FILLING until pd_rbt_publish(),
 * which must follow, and stays until then. Several may be FILLING, and are published in
 * the order in which they were reserved. May sleep as @gfp says.
 * -EAGAIN: full; -ENOMEM; -EPIPE: closed.
 */
struct pd_frame *pd_rbt_reserve(struct pd_rbt *rbt, struct pd_pool *pool, u32 seq, size_t bytes,
				gfp_t gfp, u32 *room);
/* The first @filled of the @room bytes are READY, the others never will be: then nothing
 * may have been reserved after them.
 * -EPIPE: closed meanwhile, and they are dropped.
 */
int pd_rbt_publish(struct pd_rbt *rbt, struct pd_frame *frame, u32 room, u32 filled);
/* The window of a waiting reader, if it has room: everything before @seq has been read,
 * as the caller says, and no frame comes first. NULL, or it is the caller's to fill from
 * its byte @filled on until pd_rbt_put_window(), which must follow, and without waiting for
 * anybody but a DMA channel, whose time is limited.
 */
struct pd_window *pd_rbt_claim_window(struct pd_rbt *rbt);
/* @bytes more are READY. The window may be gone when this returns. */
void pd_rbt_put_window(struct pd_rbt *rbt, struct pd_window *window, u32 bytes);
bool pd_rbt_has_room(const struct pd_rbt *rbt);
/* Ask for pd_rbt_take_wish() to tell the consumer when there is room. Look for room
 * once more after this. Any context.
 */
void pd_rbt_wants_room(struct pd_rbt *rbt);

/* ---- the consumer ---- */

/* The first frame and what is READY in it, from offset frame->taken on. NULL if
 * there is none; if nothing is READY, the frame may be gone and only *@seq is told.
 */
struct pd_frame *pd_rbt_first(struct pd_rbt *rbt, u32 *seq, u32 *ready);
/* Likewise, to be read: if it is not NULL, what is READY stays until pd_rbt_end(), also
 * if the buffer is closed. Then there is none to be seen, and what is left is dropped at the
 * end. What follows is not for the window of another consumer, which is withdrawn.
 */
struct pd_frame *pd_rbt_begin(struct pd_rbt *rbt, u32 *seq, u32 *ready);
/* @bytes of @frame, which is the first, have been read; NULL if there was none. */
void pd_rbt_end(struct pd_rbt *rbt, struct pd_frame *frame, u32 bytes);
/* Likewise the one that follows @frame, of which *@ready bytes have been looked at: NULL
 * also if there are more by now.
 */
struct pd_frame *pd_rbt_next(struct pd_rbt *rbt, struct pd_frame *frame, u32 *seq, u32 *ready);
/* True once if the producer has to be told that there is room. */
bool pd_rbt_take_wish(struct pd_rbt *rbt);

/* Offer @window, if there is no frame. It is withdrawn when another consumer begins. */
void pd_rbt_open_window(struct pd_rbt *rbt, struct pd_window *window);
/* Nobody puts anything there any more. Returns how many bytes have come. Sleeps while
 * the producer is in it.
 */
u32 pd_rbt_close_window(struct pd_rbt *rbt, struct pd_window *window);

/* True if there is any frame, READY or FILLING. Any context. */
static inline bool pd_rbt_has_frames(const struct pd_rbt *rbt)
{
	return READ_ONCE(rbt->held);
}

#endif /* PD_RBT_H */
