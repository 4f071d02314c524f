/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/rbt.c in user space, at random, against a model: a stream of bytes that each know
 * their place in it, with the sequence number at which each was sent. Every byte is
 * looked at. A producer and a consumer take turns, each in the middle of what it does.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/wait.h"
#include "kernel/work.h"
#include "rbt_case.h"

#define STEPS 10000
#define RING (1 << 22)

struct reader_window {
	struct pd_window window;
	u64 position; /* of its first byte */
	u8 bytes[20000];
};

static u32 seq_of[RING]; /* by position */
static bool closed;

/* The producer. At most one of these is not NULL: it is in the middle of a copy. */
static struct pd_frame *filling;
static struct pd_window *claimed;
static u32 room, next_seq;

/* The consumer. In a frame, or it waits with a window. */
static struct pd_frame *begun, *looked_at;
static u32 begun_ready, looked_ready;
static u64 looked_from;
static struct reader_window *opened;

static u32 dice(u32 sides)
{
	return (u32)rand() % sides;
}

static u32 unread(void)
{
	return closed ? 0 : sent - received;
}

/* ---- the producer ------------------------------------------------------------ */

static u32 some_bytes(void)
{
	switch (dice(20)) {
	case 0:
		return 1 + dice(100000);
	case 1:
	case 2:
	case 3:
		return 1 + dice(20000);
	default:
		return 1 + dice(2000);
	}
}

static void start_copy(void)
{
	u32 bytes = some_bytes(), held = rbt.held;
	struct pd_frame *frame;

	if (!dice(50))
		rbt.limit = dice(3) ? dice(1 << 20) : 0;
	/* Bytes that go over TCP in between lead to a frame all the same. */
	claimed = dice(8) ? pd_rbt_claim_window(&rbt) : NULL;
	if (claimed) {
		assert_ptr_equal(claimed, &opened->window);
		assert_int_equal(unread(), 0);
		assert_true(claimed->filled < claimed->size);
		return;
	}
	if (!dice(3))
		next_seq += dice(100);
	frame = reserve(next_seq, bytes, &room);
	if (IS_ERR(frame)) {
		switch (PTR_ERR(frame)) {
		case -EPIPE:
			assert_true(closed);
			break;
		case -EAGAIN:
			assert_true(held && held + PD_FRAME_SMALL > rbt.limit);
			pd_rbt_wants_room(&rbt);
			break;
		default:
			assert_int_equal(PTR_ERR(frame), -ENOMEM);
		}
		assert_int_equal(rbt.held, held);
		return;
	}
	assert_false(closed);
	assert_in_range(room, 1, bytes);
	assert_true(rbt.held == PD_FRAME_SMALL || rbt.held == held || rbt.held <= rbt.limit);
	filling = frame;
}

static void leave_window(void *unused)
{
	u32 left = claimed->size - claimed->filled, bytes = dice(4) ? dice(left + 1) : left;
	struct reader_window *window = container_of(claimed, struct reader_window, window);

	write_bytes(window->bytes + claimed->filled, sent, bytes);
	sent += bytes;
	/* The reader's at once. */
	received += bytes;
	pd_rbt_put_window(&rbt, claimed, bytes);
	claimed = NULL;
}

static void end_copy(void)
{
	u32 bytes = dice(4) ? room : dice(room + 1), i;

	if (claimed) {
		leave_window(NULL);
		return;
	}
	for (i = 0; i < bytes; i++)
		seq_of[(sent + i) % RING] = next_seq;
	assert_int_equal(publish(filling, room, bytes), closed ? -EPIPE : 0);
	filling = NULL;
}

/* ---- the consumer ------------------------------------------------------------ */

/* What was told of a frame whose first byte that is READY is at @position. */
static void check_told(const struct pd_frame *frame, u64 position, u32 seq, u32 ready)
{
	u32 i;

	if (closed || (position == sent && !filling)) {
		assert_null(frame);
		return;
	}
	assert_non_null(frame);
	if (position == sent) {
		assert_int_equal(ready, 0);
		assert_ptr_equal(frame, filling);
		assert_int_equal(seq, next_seq);
		return;
	}
	assert_in_range(ready, 1, sent - position);
	assert_int_equal(right_bytes(frame->data + frame->taken, position, ready), ready);
	for (i = 0; i < ready; i++)
		assert_int_equal(seq_of[(position + i) % RING], seq);
}

static void begin(void)
{
	u32 seq;

	begun = pd_rbt_begin(&rbt, &seq, &begun_ready);
	assert_null(rbt.window);
	check_told(begun, received, seq, begun_ready);
	looked_at = begun;
	looked_ready = begun_ready;
	looked_from = received;
}

static void look_further(void)
{
	struct pd_frame *next;
	u32 seq;

	if (!looked_ready)
		return;
	looked_from += looked_ready;
	next = pd_rbt_next(&rbt, looked_at, &seq, &looked_ready);
	if (next)
		check_told(next, looked_from, seq, looked_ready);
	looked_at = next;
	if (!next)
		looked_ready = 0;
}

static void end_reading(void)
{
	bool was_blocked = rbt.blocked;
	u32 bytes = dice(3) ? begun_ready : dice(begun_ready + 1);

	/* Also if the buffer has been closed since. */
	read_and_end(begun, bytes);
	begun = NULL;
	assert_int_equal(pd_rbt_take_wish(&rbt), was_blocked && pd_rbt_has_room(&rbt));
}

static void wait_with_window(void)
{
	opened = calloc(1, sizeof(*opened));
	assert_non_null(opened);
	opened->window.size = 1 + dice(sizeof(opened->bytes));
	opened->position = sent;
	pd_rbt_open_window(&rbt, &opened->window);
	assert_int_equal(rbt.window != NULL, !closed && !filling && !unread());
	if (!rbt.window) {
		free(opened);
		opened = NULL;
	}
}

static void stop_waiting(void)
{
	u32 filled;

	if (claimed)
		kernel_instead_of_wait(leave_window, NULL);
	filled = pd_rbt_close_window(&rbt, &opened->window);
	assert_null(claimed);
	assert_null(rbt.window);
	assert_int_equal(right_bytes(opened->bytes, opened->position, filled), filled);
	free(opened);
	opened = NULL;
}

static void consume(void)
{
	struct pd_frame *frame;
	u32 seq, ready;

	frame = pd_rbt_first(&rbt, &seq, &ready);
	check_told(frame, received, seq, ready);
	if (begun)
		dice(2) ? look_further() : end_reading();
	else if (opened && dice(2))
		stop_waiting();
	else if (opened || dice(2) || unread())
		begin();
	else
		wait_with_window();
}

/* ---- the walk ---------------------------------------------------------------- */

static bool fail_some(const struct kernel_alloc *alloc, void *arg)
{
	return dice(20);
}

static void close_buffer(void)
{
	u32 dropped = unread();

	if (dice(2)) {
		assert_int_equal(pd_rbt_close(&rbt), dropped);
		closed = true;
	} else {
		closed = pd_rbt_close_if_empty(&rbt);
		assert_int_equal(closed, !dropped && !filling);
	}
}

/* What has begun ends, in any order; nothing is left, and a new buffer takes its place. */
static void begin_anew(void)
{
	while (filling || claimed || begun || opened) {
		kernel_shrink(1 + dice(1000));
		if (dice(2) && (filling || claimed))
			end_copy();
		else if (begun)
			end_reading();
		else if (opened)
			stop_waiting();
	}
	assert_none_left();
	memset(&rbt, 0, sizeof(rbt));
	pd_rbt_init(&rbt);
	rbt.limit = 1 << 20;
	sent = received;
	closed = false;
}

static void step(void)
{
	u32 side = dice(100);

	if (side < 2)
		kernel_run_work();
	else if (side < 10)
		kernel_shrink(1 + dice(1000));
	else if (side < 11 && !closed && !dice(3))
		close_buffer();
	else if (side >= 55)
		consume();
	else if (filling || claimed)
		end_copy();
	else
		start_copy();
	assert_int_equal(rbt.unread, unread());
	if (closed && !dice(5))
		begin_anew();
}

static void walk(unsigned int seed)
{
	int i;

	print_message("# seed %u\n", seed);
	srand(seed);
	kernel_hook_alloc(fail_some, NULL);
	closed = false;
	for (i = 0; i < STEPS; i++)
		step();
	pd_rbt_close(&rbt);
	closed = true;
	begin_anew();
}

static void ten_thousand_steps_of_producer_and_consumer(void **state)
{
	walk(1);
}

static void ten_thousand_other_steps_of_producer_and_consumer(void **state)
{
	walk(time(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RBT_CASE(ten_thousand_steps_of_producer_and_consumer),
		RBT_CASE(ten_thousand_other_steps_of_producer_and_consumer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
