/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/rbt.c in user space, over the module's own pool: what the producer and the consumer
 * see, and how a buffer is closed. Empty blocks are freed wherever a frame may
 * have gone, so that who touches it after that is found.
 */
#include <stdlib.h>
#include <string.h>

#include "rbt_case.h"

/* ---- the producer ------------------------------------------------------------ */

static void bytes_come_out_as_they_went_in_whatever_their_number(void **state)
{
	static const u32 sizes[] = {
		1,
		2,
		100,
		SMALL_ROOM - 1,
		SMALL_ROOM,
		SMALL_ROOM + 1,
		8191,
		8192,
		LARGE_ROOM - 1,
		LARGE_ROOM,
		LARGE_ROOM + 1,
		3 * LARGE_ROOM,
		500000,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		send_bytes(i, sizes[i]);
		assert_int_equal(rbt.unread, sizes[i]);
		receive_bytes(i, sizes[i]);
		assert_int_equal(rbt.unread, 0);
		assert_none_left();
	}
}

static void messages_of_one_seq_share_a_frame_and_are_read_in_parts(void **state)
{
	int i;

	for (i = 0; i < 100; i++)
		send_bytes(7, 30);
	assert_int_equal(rbt.held, PD_FRAME_SMALL);
	assert_int_equal(rbt.unread, 3000);
	for (i = 0; i < 60; i++)
		receive_bytes(7, 50);
	assert_none_left();
}

static void a_message_of_another_seq_gets_a_frame_of_its_own(void **state)
{
	send_bytes(7, 30);
	send_bytes(8, 30);
	assert_int_equal(rbt.held, 2 * PD_FRAME_SMALL);
	/* As it wraps around; what waits by now shows a stream. */
	send_bytes(~0u, 30);
	send_bytes(0, 30);
	assert_int_equal(rbt.held, 2 * PD_FRAME_SMALL + 2 * PD_FRAME_LARGE);
	receive_bytes(7, 30);
	receive_bytes(8, 30);
	receive_bytes(~0u, 30);
	receive_bytes(0, 30);
	assert_none_left();
}

static void nothing_is_seen_before_it_is_published(void **state)
{
	struct pd_frame *frame, *seen;
	u32 room, seq, ready;

	frame = reserve(3, 50, &room);
	assert_int_equal(room, 50);
	seen = pd_rbt_first(&rbt, &seq, &ready);
	assert_ptr_equal(seen, frame);
	assert_int_equal(seq, 3);
	assert_int_equal(ready, 0);
	assert_int_equal(publish(frame, room, room), 0);
	frame = reserve(3, 50, &room);
	pd_rbt_first(&rbt, &seq, &ready);
	assert_int_equal(ready, 50);
	receive_bytes(3, 50);
	/* It is read to where it is READY, and stays. */
	assert_ptr_equal(pd_rbt_first(&rbt, &seq, &ready), frame);
	assert_int_equal(ready, 0);
	assert_int_equal(publish(frame, room, room), 0);
	receive_bytes(3, 50);
	assert_none_left();
}

static void what_was_reserved_and_not_filled_is_reserved_again(void **state)
{
	struct pd_frame *frame, *again;
	u32 room;

	frame = reserve(3, 1000, &room);
	assert_int_equal(publish(frame, room, 10), 0);
	assert_int_equal(rbt.unread, 10);
	again = reserve(3, 100000, &room);
	assert_ptr_equal(again, frame);
	assert_int_equal(room, SMALL_ROOM - 10);
	assert_int_equal(publish(again, room, 20), 0);
	receive_bytes(3, 30);
	assert_none_left();
}

static void a_frame_into_which_nothing_was_copied_goes(void **state)
{
	struct pd_frame *frame;
	u32 room;

	frame = reserve(3, 1000, &room);
	assert_int_equal(publish(frame, room, 0), 0);
	assert_none_left();
	/* Unless it has something from before. */
	send_bytes(3, 10);
	frame = reserve(3, 1000, &room);
	assert_int_equal(publish(frame, room, 0), 0);
	receive_bytes(3, 10);
	assert_none_left();
	/* Also if that has been read while it was being filled. */
	send_bytes(3, 10);
	frame = reserve(3, 1000, &room);
	receive_bytes(3, 10);
	assert_int_equal(publish(frame, room, 0), 0);
	assert_none_left();
}

static void each_publish_is_a_change_that_a_waiting_reader_sees(void **state)
{
	u32 changes = rbt.changes, room;
	struct pd_frame *frame;

	frame = reserve(3, 10, &room);
	assert_int_equal(rbt.changes, changes);
	publish(frame, room, room);
	assert_int_equal(rbt.changes, changes + 1);
	frame = reserve(3, 10, &room);
	publish(frame, room, 0);
	assert_int_equal(rbt.changes, changes + 2);
}

static bool fail_all(const struct kernel_alloc *alloc, void *arg)
{
	return false;
}

static void want_of_memory_is_said_and_leaves_what_is_there(void **state)
{
	u32 room;

	kernel_hook_alloc(fail_all, NULL);
	assert_int_equal(PTR_ERR(reserve(3, 10, &room)), -ENOMEM);
	kernel_hook_alloc(NULL, NULL);
	send_bytes(3, 10);
	kernel_hook_alloc(fail_all, NULL);
	/* In the last frame there is room without. */
	send_bytes(3, SMALL_ROOM - 10);
	/* Large frames are not to be had, small ones are. */
	send_bytes(3, 15 * SMALL_ROOM);
	assert_int_equal(PTR_ERR(reserve(3, 10, &room)), -ENOMEM);
	receive_bytes(3, 16 * SMALL_ROOM);
	kernel_hook_alloc(NULL, NULL);
	assert_none_left();
}

/* ---- room --------------------------------------------------------------------- */

static void one_page_is_allowed_whatever_the_limit(void **state)
{
	u32 room;

	rbt.limit = 0;
	assert_true(pd_rbt_has_room(&rbt));
	send_bytes(3, SMALL_ROOM);
	assert_false(pd_rbt_has_room(&rbt));
	assert_int_equal(PTR_ERR(reserve(3, 1, &room)), -EAGAIN);
	receive_bytes(3, SMALL_ROOM);
	assert_true(pd_rbt_has_room(&rbt));
	assert_none_left();
}

static void frames_are_held_up_to_the_limit_and_no_further(void **state)
{
	size_t bytes = 0;
	u32 room;
	struct pd_frame *frame;

	rbt.limit = 3 * PD_FRAME_LARGE + 2 * PD_FRAME_SMALL;
	while (!IS_ERR(frame = reserve(3, 1 << 20, &room))) {
		assert_int_equal(publish(frame, room, room), 0);
		bytes += room;
	}
	assert_int_equal(PTR_ERR(frame), -EAGAIN);
	assert_int_equal(rbt.held, rbt.limit);
	assert_int_equal(bytes, 3 * LARGE_ROOM + 2 * SMALL_ROOM);
	receive_bytes(3, bytes);
	assert_none_left();
}

static void a_writer_has_room_when_a_third_is_free(void **state)
{
	rbt.limit = 12 * PD_FRAME_SMALL;
	send_bytes(3, SMALL_ROOM);
	send_bytes(3, SMALL_ROOM);
	send_bytes(3, 5 * SMALL_ROOM);
	assert_int_equal(rbt.held, 7 * PD_FRAME_SMALL);
	assert_true(pd_rbt_has_room(&rbt));
	send_bytes(3, SMALL_ROOM);
	assert_int_equal(rbt.held, 8 * PD_FRAME_SMALL);
	assert_false(pd_rbt_has_room(&rbt));
	receive_bytes(3, SMALL_ROOM);
	assert_true(pd_rbt_has_room(&rbt));
}

static void a_wish_for_room_is_told_once_and_not_before_there_is_room(void **state)
{
	rbt.limit = 3 * PD_FRAME_SMALL;
	assert_false(pd_rbt_take_wish(&rbt));
	send_bytes(3, 3 * SMALL_ROOM);
	pd_rbt_wants_room(&rbt);
	receive_bytes(3, SMALL_ROOM);
	assert_false(pd_rbt_take_wish(&rbt));
	receive_bytes(3, SMALL_ROOM);
	assert_true(pd_rbt_take_wish(&rbt));
	assert_false(pd_rbt_take_wish(&rbt));
}

/* ---- the consumer ---------------------------------------------------------------- */

static void an_empty_buffer_has_no_first_frame(void **state)
{
	pd_rbt_end(&rbt, NULL, 0);
	assert_none_left();
}

static void frames_are_looked_at_one_after_the_other_and_stay(void **state)
{
	struct pd_frame *frame, *next;
	u32 room, seq, ready;

	send_bytes(1, 100);
	send_bytes(2, 200);
	next = reserve(3, 300, &room);
	frame = pd_rbt_begin(&rbt, &seq, &ready);
	assert_int_equal(ready, 100);
	frame = pd_rbt_next(&rbt, frame, &seq, &ready);
	assert_int_equal(seq, 2);
	assert_int_equal(ready, 200);
	assert_int_equal(right_bytes(frame->data, 100, 200), 200);
	assert_ptr_equal(pd_rbt_next(&rbt, frame, &seq, &ready), next);
	assert_int_equal(seq, 3);
	assert_int_equal(ready, 0);
	assert_null(pd_rbt_next(&rbt, next, &seq, &ready));
	pd_rbt_end(&rbt, pd_rbt_first(&rbt, &seq, &ready), 0);
	assert_int_equal(publish(next, room, room), 0);
	assert_int_equal(rbt.unread, 600);
	receive_bytes(1, 100);
	receive_bytes(2, 200);
	receive_bytes(3, 300);
	assert_none_left();
}

static void the_next_frame_is_not_looked_at_if_the_first_has_more_by_now(void **state)
{
	struct pd_frame *frame;
	u32 room, seq, ready;

	send_bytes(1, 100);
	frame = pd_rbt_begin(&rbt, &seq, &ready);
	assert_int_equal(ready, 100);
	assert_ptr_equal(reserve(1, 100, &room), frame);
	publish(frame, room, room);
	send_bytes(2, 100);
	assert_null(pd_rbt_next(&rbt, frame, &seq, &ready));
	read_and_end(frame, 100);
	receive_bytes(1, 100);
	receive_bytes(2, 100);
}

/* The consumer has begun with a frame in which nothing is READY. */
static void a_frame_may_go_under_a_consumer_that_reads_nothing_of_it(void **state)
{
	struct pd_frame *frame, *begun;
	u32 room, seq, ready;

	frame = reserve(3, 1000, &room);
	begun = pd_rbt_begin(&rbt, &seq, &ready);
	assert_ptr_equal(begun, frame);
	assert_int_equal(seq, 3);
	assert_int_equal(ready, 0);
	assert_int_equal(publish(frame, room, 0), 0);
	assert_int_equal(kernel_shrink(100), 16);
	assert_pages(0);
	pd_rbt_end(&rbt, begun, 0);
	assert_int_equal(rbt.unread, 0);
	assert_false(rbt.consuming);
	assert_none_left();
}

static void a_frame_may_go_under_a_consumer_also_if_the_buffer_is_closed(void **state)
{
	struct pd_frame *frame, *begun;
	u32 room, seq, ready;

	frame = reserve(3, 1000, &room);
	begun = pd_rbt_begin(&rbt, &seq, &ready);
	assert_int_equal(pd_rbt_close(&rbt), 0);
	assert_int_equal(publish(frame, room, 0), -EPIPE);
	kernel_shrink(100);
	pd_rbt_end(&rbt, begun, 0);
	assert_none_left();
}

/* ---- close -------------------------------------------------------------------------- */

static void assert_closed(void)
{
	u32 room;

	assert_int_equal(PTR_ERR(reserve(3, 1, &room)), -EPIPE);
	assert_int_equal(pd_rbt_close(&rbt), 0);
	assert_true(pd_rbt_close_if_empty(&rbt));
	assert_int_equal(rbt.unread, 0);
	assert_none_left();
}

static void an_empty_buffer_closes(void **state)
{
	assert_int_equal(pd_rbt_close(&rbt), 0);
	assert_closed();
}

static void close_drops_what_nobody_has_read_and_says_how_much(void **state)
{
	send_bytes(1, 100);
	send_bytes(2, 100000);
	receive_bytes(1, 30);
	assert_int_equal(pd_rbt_close(&rbt), 100070);
	assert_closed();
}

static void a_copy_that_ends_after_close_is_dropped(void **state)
{
	struct pd_frame *frame;
	u32 room;

	send_bytes(1, 100);
	frame = reserve(2, 100000, &room);
	assert_int_equal(pd_rbt_close(&rbt), 100);
	/* It may still be written to. */
	kernel_shrink(100);
	assert_int_equal(publish(frame, room, room), -EPIPE);
	assert_closed();
}

static void a_copy_into_a_frame_that_has_bytes_is_dropped_with_them(void **state)
{
	struct pd_frame *frame;
	u32 room;

	send_bytes(1, 100);
	frame = reserve(1, 100, &room);
	assert_int_equal(pd_rbt_close(&rbt), 100);
	kernel_shrink(100);
	assert_int_equal(publish(frame, room, 50), -EPIPE);
	assert_closed();
}

static void a_consumer_reads_to_the_end_what_it_began_before_close(void **state)
{
	struct pd_frame *frame;
	u32 seq, ready;

	send_bytes(1, 100);
	send_bytes(2, 100);
	frame = pd_rbt_begin(&rbt, &seq, &ready);
	assert_int_equal(pd_rbt_close(&rbt), 200);
	kernel_shrink(100);
	assert_null(pd_rbt_next(&rbt, frame, &seq, &ready));
	assert_null(pd_rbt_first(&rbt, &seq, &ready));
	read_and_end(frame, 100);
	assert_closed();
}

static void a_consumer_that_ends_with_a_part_after_close_leaves_nothing(void **state)
{
	struct pd_frame *frame, *next;
	u32 seq, ready;

	send_bytes(1, 100);
	send_bytes(2, 100);
	frame = pd_rbt_begin(&rbt, &seq, &ready);
	next = pd_rbt_next(&rbt, frame, &seq, &ready);
	assert_int_equal(pd_rbt_close(&rbt), 200);
	kernel_shrink(100);
	/* Both stay readable. */
	assert_int_equal(right_bytes(next->data, 100, 100), 100);
	read_and_end(frame, 40);
	assert_closed();
}

static void a_copy_and_a_consumer_end_after_close_in_this_order(void **state)
{
	struct pd_frame *frame;
	u32 room, seq, ready;

	send_bytes(1, 100);
	frame = reserve(1, 100, &room);
	assert_ptr_equal(pd_rbt_begin(&rbt, &seq, &ready), frame);
	assert_int_equal(pd_rbt_close(&rbt), 100);
	assert_int_equal(publish(frame, room, room), -EPIPE);
	kernel_shrink(100);
	read_and_end(frame, 100);
	assert_closed();
}

static void a_consumer_and_a_copy_end_after_close_in_this_order(void **state)
{
	struct pd_frame *frame;
	u32 room, seq, ready;

	send_bytes(1, 100);
	frame = reserve(1, 100, &room);
	assert_ptr_equal(pd_rbt_begin(&rbt, &seq, &ready), frame);
	assert_int_equal(pd_rbt_close(&rbt), 100);
	read_and_end(frame, 100);
	kernel_shrink(100);
	assert_int_equal(publish(frame, room, room), -EPIPE);
	assert_closed();
}

static bool close_inside(const struct kernel_alloc *alloc, void *arg)
{
	kernel_hook_alloc(NULL, NULL);
	pd_rbt_close(&rbt);
	return true;
}

static void a_frame_that_is_allocated_while_the_buffer_closes_goes_back(void **state)
{
	u32 room;

	kernel_hook_alloc(close_inside, NULL);
	assert_int_equal(PTR_ERR(reserve(1, 1, &room)), -EPIPE);
	assert_closed();
}

static void it_closes_if_empty_and_not_while_a_frame_is_there(void **state)
{
	struct pd_frame *frame;
	u32 room;

	frame = reserve(1, 1, &room);
	assert_false(pd_rbt_close_if_empty(&rbt));
	assert_int_equal(publish(frame, room, room), 0);
	assert_false(pd_rbt_close_if_empty(&rbt));
	receive_bytes(1, 1);
	assert_true(pd_rbt_close_if_empty(&rbt));
	assert_closed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RBT_CASE(bytes_come_out_as_they_went_in_whatever_their_number),
		RBT_CASE(messages_of_one_seq_share_a_frame_and_are_read_in_parts),
		RBT_CASE(a_message_of_another_seq_gets_a_frame_of_its_own),
		RBT_CASE(nothing_is_seen_before_it_is_published),
		RBT_CASE(what_was_reserved_and_not_filled_is_reserved_again),
		RBT_CASE(a_frame_into_which_nothing_was_copied_goes),
		RBT_CASE(each_publish_is_a_change_that_a_waiting_reader_sees),
		RBT_CASE(want_of_memory_is_said_and_leaves_what_is_there),
		RBT_CASE(one_page_is_allowed_whatever_the_limit),
		RBT_CASE(frames_are_held_up_to_the_limit_and_no_further),
		RBT_CASE(a_writer_has_room_when_a_third_is_free),
		RBT_CASE(a_wish_for_room_is_told_once_and_not_before_there_is_room),
		RBT_CASE(an_empty_buffer_has_no_first_frame),
		RBT_CASE(frames_are_looked_at_one_after_the_other_and_stay),
		RBT_CASE(the_next_frame_is_not_looked_at_if_the_first_has_more_by_now),
		RBT_CASE(a_frame_may_go_under_a_consumer_that_reads_nothing_of_it),
		RBT_CASE(a_frame_may_go_under_a_consumer_also_if_the_buffer_is_closed),
		RBT_CASE(an_empty_buffer_closes),
		RBT_CASE(close_drops_what_nobody_has_read_and_says_how_much),
		RBT_CASE(a_copy_that_ends_after_close_is_dropped),
		RBT_CASE(a_copy_into_a_frame_that_has_bytes_is_dropped_with_them),
		RBT_CASE(a_consumer_reads_to_the_end_what_it_began_before_close),
		RBT_CASE(a_consumer_that_ends_with_a_part_after_close_leaves_nothing),
		RBT_CASE(a_copy_and_a_consumer_end_after_close_in_this_order),
		RBT_CASE(a_consumer_and_a_copy_end_after_close_in_this_order),
		RBT_CASE(a_frame_that_is_allocated_while_the_buffer_closes_goes_back),
		RBT_CASE(it_closes_if_empty_and_not_while_a_frame_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
