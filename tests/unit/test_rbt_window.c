/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/rbt.c in user space: the window, a waiting reader's own memory that the producer
 * fills. Each is on the heap and freed when its reader has closed it.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/wait.h"
#include "rbt_case.h"

#define SIZE 10000

/* Its pages are no business of the buffer's. */
static struct pd_window *new_window(void)
{
	struct pd_window *window = calloc(1, sizeof(*window));

	assert_non_null(window);
	window->size = SIZE;
	return window;
}

static struct pd_window *opened_window(void)
{
	struct pd_window *window = new_window();

	pd_rbt_open_window(&rbt, window);
	assert_ptr_equal(rbt.window, window);
	return window;
}

static void close_window(struct pd_window *window, u32 filled)
{
	assert_int_equal(pd_rbt_close_window(&rbt, window), filled);
	free(window);
	assert_null(pd_rbt_claim_window(&rbt));
}

static void without_a_waiting_reader_there_is_no_window(void **state)
{
	assert_null(pd_rbt_claim_window(&rbt));
}

static void a_window_takes_one_message_after_the_other_until_it_is_full(void **state)
{
	struct pd_window *window = opened_window();
	u32 changes = rbt.changes;

	assert_ptr_equal(pd_rbt_claim_window(&rbt), window);
	assert_true(window->busy);
	pd_rbt_put_window(&rbt, window, 4000);
	assert_false(window->busy);
	assert_int_equal(rbt.changes, changes + 1);
	assert_ptr_equal(pd_rbt_claim_window(&rbt), window);
	assert_int_equal(window->filled, 4000);
	pd_rbt_put_window(&rbt, window, SIZE - 4000);
	assert_null(pd_rbt_claim_window(&rbt));
	assert_int_equal(rbt.changes, changes + 2);
	/* They are not bytes of the frames. */
	assert_int_equal(rbt.unread, 0);
	close_window(window, SIZE);
}

static void a_window_into_which_nothing_was_copied_stays_open(void **state)
{
	struct pd_window *window = opened_window();

	pd_rbt_put_window(&rbt, pd_rbt_claim_window(&rbt), 0);
	assert_ptr_equal(pd_rbt_claim_window(&rbt), window);
	pd_rbt_put_window(&rbt, window, 1);
	close_window(window, 1);
}

static void a_window_is_not_opened_while_there_are_frames(void **state)
{
	struct pd_window *window = new_window();
	struct pd_frame *frame;
	u32 room;

	frame = reserve(1, 100, &room);
	pd_rbt_open_window(&rbt, window);
	assert_null(pd_rbt_claim_window(&rbt));
	publish(frame, room, room);
	pd_rbt_open_window(&rbt, window);
	assert_null(pd_rbt_claim_window(&rbt));
	receive_bytes(1, 100);
	pd_rbt_open_window(&rbt, window);
	assert_ptr_equal(pd_rbt_claim_window(&rbt), window);
	pd_rbt_put_window(&rbt, window, 5);
	close_window(window, 5);
}

static void a_window_is_not_claimed_while_frames_come_before_it(void **state)
{
	struct pd_window *window = opened_window();
	struct pd_frame *frame;
	u32 room;

	frame = reserve(1, 100, &room);
	assert_null(pd_rbt_claim_window(&rbt));
	/* The copy fails, the frame goes. */
	publish(frame, room, 0);
	assert_ptr_equal(pd_rbt_claim_window(&rbt), window);
	pd_rbt_put_window(&rbt, window, 10);
	send_bytes(1, 100);
	assert_null(pd_rbt_claim_window(&rbt));
	close_window(window, 10);
	receive_bytes(1, 100);
}

static void a_window_is_not_opened_while_a_consumer_is_in_a_frame(void **state)
{
	struct pd_window *window = new_window();
	struct pd_frame *frame, *begun;
	u32 room, seq, ready;

	frame = reserve(1, 100, &room);
	begun = pd_rbt_begin(&rbt, &seq, &ready);
	publish(frame, room, 0);
	pd_rbt_open_window(&rbt, window);
	assert_null(pd_rbt_claim_window(&rbt));
	pd_rbt_end(&rbt, begun, 0);
	close_window(window, 0);
}

static void a_second_consumer_withdraws_the_window_of_the_first(void **state)
{
	struct pd_window *window = opened_window(), *second;
	u32 seq, ready;

	assert_null(pd_rbt_begin(&rbt, &seq, &ready));
	assert_null(pd_rbt_claim_window(&rbt));
	/* To look is no reason. */
	second = opened_window();
	assert_null(pd_rbt_first(&rbt, &seq, &ready));
	/* That of the second stays when the first closes its own. */
	assert_int_equal(pd_rbt_close_window(&rbt, window), 0);
	free(window);
	assert_ptr_equal(pd_rbt_claim_window(&rbt), second);
	pd_rbt_put_window(&rbt, second, 3);
	close_window(second, 3);
}

static void put_500(void *window)
{
	pd_rbt_put_window(&rbt, window, 500);
}

static void a_window_is_closed_when_the_producer_has_left_it(void **state)
{
	struct pd_window *window = opened_window();

	pd_rbt_claim_window(&rbt);
	kernel_instead_of_wait(put_500, window);
	close_window(window, 500);
}

static void a_withdrawn_window_is_closed_when_the_producer_has_left_it(void **state)
{
	struct pd_window *window = opened_window();
	u32 seq, ready;

	pd_rbt_claim_window(&rbt);
	assert_null(pd_rbt_begin(&rbt, &seq, &ready));
	kernel_instead_of_wait(put_500, window);
	close_window(window, 500);
}

static void close_withdraws_the_window_and_what_is_in_it_counts(void **state)
{
	struct pd_window *window = opened_window();

	pd_rbt_put_window(&rbt, pd_rbt_claim_window(&rbt), 10);
	pd_rbt_claim_window(&rbt);
	assert_int_equal(pd_rbt_close(&rbt), 0);
	kernel_instead_of_wait(put_500, window);
	close_window(window, 510);
	window = new_window();
	pd_rbt_open_window(&rbt, window);
	close_window(window, 0);
}

static void close_if_empty_withdraws_the_window(void **state)
{
	struct pd_window *window = opened_window();

	assert_true(pd_rbt_close_if_empty(&rbt));
	assert_null(pd_rbt_claim_window(&rbt));
	close_window(window, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RBT_CASE(without_a_waiting_reader_there_is_no_window),
		RBT_CASE(a_window_takes_one_message_after_the_other_until_it_is_full),
		RBT_CASE(a_window_into_which_nothing_was_copied_stays_open),
		RBT_CASE(a_window_is_not_opened_while_there_are_frames),
		RBT_CASE(a_window_is_not_claimed_while_frames_come_before_it),
		RBT_CASE(a_window_is_not_opened_while_a_consumer_is_in_a_frame),
		RBT_CASE(a_second_consumer_withdraws_the_window_of_the_first),
		RBT_CASE(a_window_is_closed_when_the_producer_has_left_it),
		RBT_CASE(a_withdrawn_window_is_closed_when_the_producer_has_left_it),
		RBT_CASE(close_withdraws_the_window_and_what_is_in_it_counts),
		RBT_CASE(close_if_empty_withdraws_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
