// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "rbt.h"

/* From here on a message gets large frames: what waits already shows a stream. */
#define LARGE_FROM (8 << 10)

void pd_rbt_init(struct pd_rbt *rbt)
{
	spin_lock_init(&rbt->lock);
	INIT_LIST_HEAD(&rbt->frames);
	rbt->limit = PD_FRAME_LARGE;
}

/* Nothing in @frame is or will be READY that was not read. */
static bool is_used_up(const struct pd_frame *frame)
{
	return frame->taken == frame->reserved;
}

static void unlink_frame(struct pd_rbt *rbt, struct pd_frame *frame)
{
	lockdep_assert_held(&rbt->lock);
	list_del(&frame->list);
	WRITE_ONCE(rbt->held, rbt->held - frame->size);
}

static void drop_frame(struct pd_rbt *rbt, struct pd_frame *frame)
{
	unlink_frame(rbt, frame);
	pd_pool_give_back(frame);
}

/* Take out what nobody fills: one that is FILLING is dropped by pd_rbt_publish(). */
static void take_all(struct pd_rbt *rbt, struct list_head *dropped)
{
	struct pd_frame *frame, *next;

	list_for_each_entry_safe(frame, next, &rbt->frames, list) {
		if (frame->filled != frame->reserved)
			continue;
		unlink_frame(rbt, frame);
		list_add(&frame->list, dropped);
	}
}

/* Leave the lock and give back what was taken out. */
static void unlock_and_drop(struct pd_rbt *rbt, struct list_head *dropped) __releases(&rbt->lock)
{
	struct pd_frame *frame, *next;

	spin_unlock(&rbt->lock);
	list_for_each_entry_safe(frame, next, dropped, list)
		pd_pool_give_back(frame);
	local_bh_enable();
}

u32 pd_rbt_close(struct pd_rbt *rbt)
{
	LIST_HEAD(dropped);
	u32 unread;

	spin_lock_bh(&rbt->lock);
	rbt->closed = true;
	rbt->window = NULL;
	unread = rbt->unread;
	WRITE_ONCE(rbt->unread, 0);
	/* Else pd_rbt_end() does it. */
	if (!rbt->consuming)
		take_all(rbt, &dropped);
	unlock_and_drop(rbt, &dropped);
	return unread;
}

bool pd_rbt_close_if_empty(struct pd_rbt *rbt)
{
	bool closed;

	spin_lock_bh(&rbt->lock);
	if (list_empty(&rbt->frames)) {
		rbt->closed = true;
		rbt->window = NULL;
	}
	closed = rbt->closed;
	spin_unlock_bh(&rbt->lock);
	return closed;
}

/* ---- the producer ------------------------------------------------------------ */

/* Bytes of a further frame for @bytes of payload that the limit allows. One page
 * is always allowed.
 */
static u32 allowed_size(const struct pd_rbt *rbt, size_t bytes)
{
	u32 held = READ_ONCE(rbt->held);
	u32 size = bytes >= LARGE_FROM || held >= LARGE_FROM ? PD_FRAME_LARGE : PD_FRAME_SMALL;

	if (held + size <= rbt->limit)
		return size;
	return !held || held + PD_FRAME_SMALL <= rbt->limit ? PD_FRAME_SMALL : 0;
}

static struct pd_frame *last_frame(struct pd_rbt *rbt)
{
	return list_empty(&rbt->frames) ? NULL :
					  list_last_entry(&rbt->frames, struct pd_frame, list);
}

static struct pd_frame *reserve_in(struct pd_frame *frame, size_t bytes, u32 *room)
{
	*room = min_t(size_t, bytes, pd_frame_capacity(frame) - frame->reserved);
	frame->reserved += *room;
	return frame;
}

static struct pd_frame *append(struct pd_rbt *rbt, struct pd_frame *frame, u32 seq, size_t bytes,
			       u32 *room)
{
	lockdep_assert_held(&rbt->lock);
	frame->seq = seq;
	list_add_tail(&frame->list, &rbt->frames);
	WRITE_ONCE(rbt->held, rbt->held + frame->size);
	return reserve_in(frame, bytes, room);
}

/* Without growing the pool: NULL if it would have to, then *@size is what it is asked for. */
static struct pd_frame *reserve_ready(struct pd_rbt *rbt, struct pd_pool *pool, u32 seq,
				      size_t bytes, u32 *size, u32 *room)
{
	struct pd_frame *frame = last_frame(rbt);

	if (rbt->closed)
		return ERR_PTR(-EPIPE);
	if (frame && frame->seq == seq && frame->reserved < pd_frame_capacity(frame))
		return reserve_in(frame, bytes, room);
	*size = allowed_size(rbt, bytes);
	if (!*size)
		return ERR_PTR(-EAGAIN);
	frame = pd_pool_take_ready(pool, pd_frame_room(*size));
	return frame ? append(rbt, frame, seq, bytes, room) : NULL;
}

struct pd_frame *pd_rbt_reserve(struct pd_rbt *rbt, struct pd_pool *pool, u32 seq, size_t bytes,
				gfp_t gfp, u32 *room)
{
	struct pd_frame *frame;
	bool closed;
	u32 size;

	spin_lock_bh(&rbt->lock);
	frame = reserve_ready(rbt, pool, seq, bytes, &size, room);
	spin_unlock_bh(&rbt->lock);
	if (likely(frame))
		return frame;
	frame = pd_pool_take(pool, pd_frame_room(size), gfp);
	if (!frame)
		return ERR_PTR(-ENOMEM);
	spin_lock_bh(&rbt->lock);
	closed = rbt->closed;
	if (closed)
		pd_pool_give_back(frame);
	else
		append(rbt, frame, seq, bytes, room);
	spin_unlock_bh(&rbt->lock);
	return closed ? ERR_PTR(-EPIPE) : frame;
}

int pd_rbt_publish(struct pd_rbt *rbt, struct pd_frame *frame, u32 room, u32 filled)
{
	bool closed;

	spin_lock_bh(&rbt->lock);
	frame->reserved -= room - filled;
	frame->filled += filled;
	closed = rbt->closed;
	/* The next stretch of it may be FILLING already: then that drops it. */
	if (is_used_up(frame) || (closed && !rbt->consuming && frame->filled == frame->reserved))
		drop_frame(rbt, frame);
	else if (!closed)
		WRITE_ONCE(rbt->unread, rbt->unread + filled);
	WRITE_ONCE(rbt->changes, rbt->changes + 1);
	spin_unlock_bh(&rbt->lock);
	return closed ? -EPIPE : 0;
}

struct pd_window *pd_rbt_claim_window(struct pd_rbt *rbt)
{
	struct pd_window *window;

	if (likely(!READ_ONCE(rbt->window)))
		return NULL;
	spin_lock_bh(&rbt->lock);
	window = rbt->window;
	if (window && (!list_empty(&rbt->frames) || window->filled == window->size))
		window = NULL;
	if (window)
		window->busy = true;
	spin_unlock_bh(&rbt->lock);
	return window;
}

void pd_rbt_put_window(struct pd_rbt *rbt, struct pd_window *window, u32 bytes)
{
	bool *busy = &window->busy;

	window->filled += bytes;
	spin_lock_bh(&rbt->lock);
	WRITE_ONCE(rbt->changes, rbt->changes + 1);
	*busy = false;
	spin_unlock_bh(&rbt->lock);
	/* An address to wait at, and nothing more: it may be gone. The barrier is for the
	 * look whether anybody waits.
	 */
	smp_mb();
	wake_up_var(busy);
}

bool pd_rbt_has_room(const struct pd_rbt *rbt)
{
	u32 held = READ_ONCE(rbt->held);

	/* A third free, as TCP says when a socket is writable. */
	return !held || held + PD_FRAME_SMALL <= rbt->limit - rbt->limit / 3;
}

void pd_rbt_wants_room(struct pd_rbt *rbt)
{
	WRITE_ONCE(rbt->blocked, true);
	/* Pairs with the barrier of pd_rbt_take_wish(): either it sees blocked, or
	 * the caller sees the room.
	 */
	smp_mb();
}

/* ---- the consumer ------------------------------------------------------------ */

static void look_at(const struct pd_frame *frame, u32 *seq, u32 *ready)
{
	*seq = frame->seq;
	*ready = frame->filled - frame->taken;
}

static struct pd_frame *look_at_first(struct pd_rbt *rbt, u32 *seq, u32 *ready)
{
	struct pd_frame *frame = list_first_entry_or_null(&rbt->frames, struct pd_frame, list);

	if (rbt->closed)
		frame = NULL;
	if (frame)
		look_at(frame, seq, ready);
	return frame;
}

struct pd_frame *pd_rbt_first(struct pd_rbt *rbt, u32 *seq, u32 *ready)
{
	struct pd_frame *frame;

	if (!pd_rbt_has_frames(rbt))
		return NULL;
	spin_lock_bh(&rbt->lock);
	frame = look_at_first(rbt, seq, ready);
	spin_unlock_bh(&rbt->lock);
	return frame;
}

struct pd_frame *pd_rbt_begin(struct pd_rbt *rbt, u32 *seq, u32 *ready)
{
	struct pd_frame *frame;

	/* A window is opened by a consumer alone: it is seen here. */
	if (!pd_rbt_has_frames(rbt) && !READ_ONCE(rbt->window))
		return NULL;
	spin_lock_bh(&rbt->lock);
	rbt->window = NULL;
	frame = look_at_first(rbt, seq, ready);
	rbt->consuming = frame;
	spin_unlock_bh(&rbt->lock);
	return frame;
}

struct pd_frame *pd_rbt_next(struct pd_rbt *rbt, struct pd_frame *frame, u32 *seq, u32 *ready)
{
	struct pd_frame *next = NULL;

	spin_lock_bh(&rbt->lock);
	if (!rbt->closed && frame->filled - frame->taken == *ready &&
	    !list_is_last(&frame->list, &rbt->frames)) {
		next = list_next_entry(frame, list);
		look_at(next, seq, ready);
	}
	spin_unlock_bh(&rbt->lock);
	return next;
}

/* Not inlined: for the list each pd_rbt_end() would have the stack protector. */
static noinline void unlock_and_drop_all(struct pd_rbt *rbt) __releases(&rbt->lock)
{
	LIST_HEAD(dropped);

	take_all(rbt, &dropped);
	unlock_and_drop(rbt, &dropped);
}

void pd_rbt_end(struct pd_rbt *rbt, struct pd_frame *frame, u32 bytes)
{
	if (!frame)
		return;
	spin_lock_bh(&rbt->lock);
	rbt->consuming = false;
	/* Else it may be gone: a copy into it has failed, and there was nothing else. */
	if (bytes) {
		frame->taken += bytes;
		if (is_used_up(frame))
			drop_frame(rbt, frame);
	}
	if (unlikely(rbt->closed)) {
		unlock_and_drop_all(rbt);
		return;
	}
	WRITE_ONCE(rbt->unread, rbt->unread - bytes);
	spin_unlock_bh(&rbt->lock);
}

bool pd_rbt_take_wish(struct pd_rbt *rbt)
{
	/* Pairs with pd_rbt_wants_room(). */
	smp_mb();
	if (!READ_ONCE(rbt->blocked) || !pd_rbt_has_room(rbt))
		return false;
	return xchg(&rbt->blocked, false);
}

void pd_rbt_open_window(struct pd_rbt *rbt, struct pd_window *window)
{
	spin_lock_bh(&rbt->lock);
	if (!rbt->closed && !rbt->consuming && list_empty(&rbt->frames))
		rbt->window = window;
	spin_unlock_bh(&rbt->lock);
}

static bool is_idle(struct pd_rbt *rbt, const struct pd_window *window)
{
	bool busy;

	/* With the lock: the producer leaves it after the last look at the window. */
	spin_lock_bh(&rbt->lock);
	busy = window->busy;
	spin_unlock_bh(&rbt->lock);
	return !busy;
}

u32 pd_rbt_close_window(struct pd_rbt *rbt, struct pd_window *window)
{
	spin_lock_bh(&rbt->lock);
	if (rbt->window == window)
		rbt->window = NULL;
	spin_unlock_bh(&rbt->lock);
	wait_var_event(&window->busy, is_idle(rbt, window));
	return window->filled;
}
