/* SPDX-License-Identifier: GPL-2.0-only */
/* A receive buffer for each case, on a pool of its own, and a stream whose every byte says
 * where in the stream it is.
 */
#ifndef RBT_CASE_H
#define RBT_CASE_H

#include <string.h>

#include <linux/err.h>

#include "kernel/shrink.h"
#include "pool_case.h"
#include "rbt.h"

#define RBT_CASE(name) cmocka_unit_test_setup_teardown(name, set_up_rbt, tear_down_rbt)
#define SMALL_ROOM (PAGE_SIZE - PD_FRAME_HEADER)
#define LARGE_ROOM PD_FRAME_LARGE

static struct pd_rbt rbt;
static u64 sent, received; /* positions in the stream */

static inline u8 byte_at(u64 position)
{
	return (position + 1) * 0x9e3779b97f4a7c15 >> 56;
}

static inline void write_bytes(u8 *to, u64 position, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes; i++)
		to[i] = byte_at(position + i);
}

/* Returns how many are as they should be. */
static inline u32 right_bytes(const u8 *from, u64 position, u32 bytes)
{
	u32 i;

	for (i = 0; i < bytes && from[i] == byte_at(position + i); i++)
		;
	return i;
}

static inline int set_up_rbt(void **state)
{
	memset(&rbt, 0, sizeof(rbt));
	pd_rbt_init(&rbt);
	rbt.limit = 1 << 20;
	sent = 0;
	received = 0;
	return set_up(state);
}

/* Closed, and every frame back. */
static inline int tear_down_rbt(void **state)
{
	pd_rbt_close(&rbt);
	assert_int_equal(rbt.held, 0);
	assert_true(list_empty(&rbt.frames));
	return tear_down(state);
}

static inline struct pd_frame *reserve(u32 seq, size_t bytes, u32 *room)
{
	return pd_rbt_reserve(&rbt, pool, seq, bytes, GFP_KERNEL, room);
}

/* The copy of @bytes into what was reserved. */
static inline void fill(struct pd_frame *frame, u32 bytes)
{
	write_bytes(frame->data + frame->filled, sent, bytes);
	sent += bytes;
}

static inline int publish(struct pd_frame *frame, u32 room, u32 bytes)
{
	fill(frame, bytes);
	return pd_rbt_publish(&rbt, frame, room, bytes);
}

static inline void send_bytes(u32 seq, size_t bytes)
{
	struct pd_frame *frame;
	u32 room;

	for (; bytes; bytes -= room) {
		frame = reserve(seq, bytes, &room);
		assert_false(IS_ERR(frame));
		assert_in_range(room, 1, bytes);
		assert_int_equal(publish(frame, room, room), 0);
	}
}

/* The consumer has begun: it reads @bytes of @frame, which may be gone if there are none,
 * and ends.
 */
static inline void read_and_end(struct pd_frame *frame, u32 bytes)
{
	if (bytes)
		assert_int_equal(right_bytes(frame->data + frame->taken, received, bytes), bytes);
	received += bytes;
	pd_rbt_end(&rbt, frame, bytes);
}

/* All of them READY, and of @seq. */
static inline void receive_bytes(u32 seq, size_t bytes)
{
	struct pd_frame *frame;
	u32 its_seq, ready;

	for (; bytes; bytes -= ready) {
		frame = pd_rbt_begin(&rbt, &its_seq, &ready);
		assert_non_null(frame);
		assert_int_equal(its_seq, seq);
		assert_true(ready);
		ready = ready < bytes ? ready : bytes;
		read_and_end(frame, ready);
	}
}

/* No frame of @rbt is there, and what was its memory has gone. */
static inline void assert_none_left(void)
{
	u32 seq, ready;

	assert_int_equal(rbt.held, 0);
	assert_false(pd_rbt_has_frames(&rbt));
	assert_null(pd_rbt_first(&rbt, &seq, &ready));
	assert_null(pd_rbt_begin(&rbt, &seq, &ready));
	kernel_shrink(100000);
	assert_pages(0);
}

#endif /* RBT_CASE_H */
