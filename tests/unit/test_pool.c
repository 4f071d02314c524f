/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/pool.c in user space: its frames and blocks. On the kernel of tests/unit/kernel
 * allocations fail when a test says so, and what is freed is really freed.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/shrinker.h>

#include "kernel/shrink.h"
#include "kernel/work.h"
#include "pool_case.h"

/* ---- frames ------------------------------------------------------------------ */

static void assert_takes(size_t bytes, u32 size)
{
	struct pd_frame *frame = take_of(pool, bytes);

	assert_non_null(frame);
	assert_int_equal(frame->size, size);
	assert_int_equal((uintptr_t)frame->data % PAGE_SIZE,
			 size == PD_FRAME_SMALL ? PD_FRAME_HEADER : 0);
	assert_int_equal(frame->reserved, 0);
	assert_int_equal(frame->filled, 0);
	assert_int_equal(frame->taken, 0);
	/* To the last byte. */
	memset(frame->data, 1, pd_frame_capacity(frame));
	give_back(frame);
}

static void what_fits_a_page_gets_one_and_more_gets_64_kib(void **state)
{
	assert_takes(1, PD_FRAME_SMALL);
	assert_takes(SMALL_ROOM, PD_FRAME_SMALL);
	assert_takes(SMALL_ROOM + 1, PD_FRAME_LARGE);
	assert_takes(PD_FRAME_LARGE, PD_FRAME_LARGE);
	assert_takes(10 << 20, PD_FRAME_LARGE);
}

static void a_large_frame_is_split_for_small_ones_and_joined_when_all_are_back(void **state)
{
	struct pd_frame *frames[LARGE_PAGES], *large;
	int i;

	take_all(frames, LARGE_PAGES, 1);
	assert_pages(LARGE_PAGES);
	/* In no order. */
	for (i = 0; i < LARGE_PAGES; i++)
		give_back(frames[i * 7 % LARGE_PAGES]);
	large = take_of(pool, PD_FRAME_LARGE);
	assert_int_equal(large->size, PD_FRAME_LARGE);
	assert_pages(LARGE_PAGES);
	give_back(large);
}

static void a_split_frame_is_no_large_one_while_one_part_is_in_use(void **state)
{
	struct pd_frame *frames[LARGE_PAGES], *large;

	take_all(frames, LARGE_PAGES, 1);
	give_all(frames + 1, LARGE_PAGES - 1);
	large = take_of(pool, PD_FRAME_LARGE);
	assert_pages(2 * LARGE_PAGES);
	assert_int_equal(large->size, PD_FRAME_LARGE);
	memset(large->data, 1, pd_frame_capacity(large));
	give_back(frames[0]);
	give_back(large);
}

static void blocks_grow_with_what_the_pool_has(void **state)
{
	struct pd_frame *frames[64];

	take_all(frames, 4, PD_FRAME_LARGE);
	assert_pages(4 * LARGE_PAGES);
	/* 256 KiB: by as much each time. */
	take_all(frames + 4, 1, PD_FRAME_LARGE);
	assert_pages(2 * MIDDLE_PAGES);
	take_all(frames + 5, 27, PD_FRAME_LARGE);
	assert_pages(8 * MIDDLE_PAGES);
	/* 2 MiB. */
	take_all(frames + 32, 32, PD_FRAME_LARGE);
	assert_pages(2 * BLOCK_PAGES);
	give_all(frames, 64);
}

/* ---- want of memory ----------------------------------------------------------- */

struct tries {
	unsigned int fail_from; /* this order and those above */
	unsigned int nr;
	struct kernel_alloc tries[8];
};

static bool fail_orders(const struct kernel_alloc *alloc, void *arg)
{
	struct tries *tries = arg;

	if (!alloc->is_page)
		return true;
	tries->tries[tries->nr++ % 8] = *alloc;
	return alloc->order < tries->fail_from;
}

static void a_lower_order_is_tried_when_the_higher_has_failed(void **state)
{
	struct tries tries = { .fail_from = 9 };
	struct pd_frame *frames[33];

	take_all(frames, 32, PD_FRAME_LARGE);
	kernel_hook_alloc(fail_orders, &tries);
	take_all(frames + 32, 1, PD_FRAME_LARGE);
	assert_pages(BLOCK_PAGES + MIDDLE_PAGES);
	assert_int_equal(tries.nr, 2);
	assert_int_equal(tries.tries[0].order, 9);
	assert_int_equal(tries.tries[1].order, 6);
	give_all(frames, 33);
}

static void only_for_single_pages_memory_is_reclaimed_and_never_by_the_oom_killer(void **state)
{
	struct tries tries = { .fail_from = 0 };
	unsigned int i;

	kernel_hook_alloc(fail_orders, &tries);
	assert_null(take_of(pool, PD_FRAME_LARGE));
	assert_int_equal(tries.nr, 2);
	for (i = 0; i < tries.nr; i++) {
		const struct kernel_alloc *try = &tries.tries[i];

		assert_int_equal(try->order, i ? 0 : 4);
		assert_int_equal(!(try->gfp & __GFP_DIRECT_RECLAIM), try->order > 0);
		assert_true(try->gfp & __GFP_NORETRY);
		assert_true(try->gfp & __GFP_NOWARN);
		assert_true(try->gfp & __GFP_COMP);
	}
	assert_pages(0);
}

static void a_block_of_one_page_is_one_small_frame_whatever_was_asked_for(void **state)
{
	struct tries tries = { .fail_from = 1 };
	struct pd_frame *frames[20], *frame;

	kernel_hook_alloc(fail_orders, &tries);
	take_all(frames, 10, PD_FRAME_LARGE);
	take_all(frames + 10, 10, 1);
	assert_pages(20);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(frames[i]->size, PD_FRAME_SMALL);
		memset(frames[i]->data, 1, pd_frame_capacity(frames[i]));
	}
	give_all(frames, 20);
	assert_int_equal(kernel_shrinkable(), 20);
	/* One that is there is taken for few bytes; for many a large one is tried. */
	frame = take_of(pool, 1);
	assert_pages(20);
	give_back(frame);
	kernel_hook_alloc(NULL, NULL);
	frame = take_of(pool, PD_FRAME_LARGE);
	assert_int_equal(frame->size, PD_FRAME_LARGE);
	give_back(frame);
}

static bool fail_all(const struct kernel_alloc *alloc, void *arg)
{
	return false;
}

static void without_memory_what_is_there_is_given_and_a_small_frame_for_a_large(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct pd_frame *frames[LARGE_PAGES];

	take_all(frames, 1, 1);
	kernel_hook_alloc(fail_all, NULL);
	take_all(frames + 1, 7, 1);
	take_all(frames + 8, 8, PD_FRAME_LARGE);
	assert_int_equal(frames[8]->size, PD_FRAME_SMALL);
	assert_null(take_of(pool, 1));
	assert_null(take_of(pool, PD_FRAME_LARGE));
	assert_null(pd_pool_get(&memcg, GFP_KERNEL));
	give_all(frames, LARGE_PAGES);
}

struct countdown {
	int left;
};

static bool fail_one(const struct kernel_alloc *alloc, void *arg)
{
	struct countdown *countdown = arg;

	return --countdown->left;
}

/* From the first to the last, whatever fails. */
static void live(struct mem_cgroup *memcg)
{
	struct pd_frame *frames[80] = { NULL };
	struct pd_pool *mine, *other;
	int i;

	if (pd_pool_init())
		return;
	mine = pd_pool_get(memcg, GFP_KERNEL);
	other = pd_pool_get(NULL, GFP_KERNEL);
	for (i = 0; i < 80; i++) {
		struct pd_pool *from = i % 4 ? mine : other;

		if (from)
			frames[i] = take_of(from, i % 3 ? PD_FRAME_LARGE : 1);
		if (i % 16 == 3)
			kernel_run_work();
		if (i % 5 == 3 && frames[i - 2]) {
			give_back(frames[i - 2]);
			frames[i - 2] = NULL;
		}
	}
	for (i = 0; i < 80; i++)
		if (frames[i])
			give_back(frames[i]);
	pd_pool_put(mine);
	pd_pool_put(other);
	pd_pool_exit();
}

static void nothing_is_lost_whichever_allocation_fails(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct countdown countdown;
	int n = 0;

	do {
		countdown.left = ++n;
		kernel_hook_alloc(fail_one, &countdown);
		live(&memcg);
		kernel_hook_alloc(NULL, NULL);
		assert_nothing_left();
		assert_int_equal(memcg.css.refs, 0);
		assert_int_equal(memcg.charged, 0);
	} while (countdown.left <= 0);
	/* The work queue, the shrinker, two pools, and blocks with their pages. */
	assert_true(n > 20);
}

/* ---- at random ---------------------------------------------------------------------- */

#define STEPS 10000
#define MAX_FRAMES 100

struct held {
	struct pd_frame *frame;
	u8 value;
};

/* At its ends and somewhere in between, as all of it would take its time. */
static void check_held(const struct held *held, bool write)
{
	u32 last = pd_frame_capacity(held->frame) - 1;
	u32 at[] = { 0, last, PD_FRAME_SMALL - PD_FRAME_HEADER - 1, held->value * 200u % last };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++)
		if (write)
			held->frame->data[at[i]] = held->value;
		else
			assert_int_equal(held->frame->data[at[i]], held->value);
}

static bool fail_some(const struct kernel_alloc *alloc, void *arg)
{
	return rand() % 10;
}

static void step(struct held *held, int *n)
{
	int i, dice = rand() % 100;

	if (dice < 2) {
		kernel_run_work();
	} else if (dice < 4) {
		kernel_shrink(rand() % 1000);
	} else if (*n == MAX_FRAMES || (*n && dice < 52)) {
		i = rand() % *n;
		check_held(&held[i], false);
		give_back(held[i].frame);
		held[i] = held[--*n];
	} else {
		held[*n].frame = take_of(pool, rand() % 2 ? 1 : PD_FRAME_LARGE);
		if (held[*n].frame) {
			held[*n].value = rand();
			check_held(&held[(*n)++], true);
		}
	}
}

static void walk(unsigned int seed)
{
	struct held held[MAX_FRAMES];
	long empty;
	int i, n = 0;

	print_message("# seed %u\n", seed);
	srand(seed);
	kernel_hook_alloc(fail_some, NULL);
	for (i = 0; i < STEPS; i++) {
		step(held, &n);
		empty = kernel_shrinkable() == SHRINK_EMPTY ? 0 : kernel_shrinkable();
		assert_pages(kernel_live_pages());
		assert_true(empty <= kernel_live_pages());
		if (!n)
			assert_int_equal(empty, kernel_live_pages());
		/* What is empty waits to be trimmed. */
		assert_true(!empty || kernel_pending_work());
		/* Now and then there is much, or nothing. */
		while (i % 1000 == 0 && n)
			give_back(held[--n].frame);
	}
	while (n) {
		check_held(&held[--n], false);
		give_back(held[n].frame);
	}
}

static void frames_keep_what_is_in_them_over_10000_steps(void **state)
{
	walk(1);
}

static void frames_keep_what_is_in_them_over_10000_other_steps(void **state)
{
	walk(time(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_fits_a_page_gets_one_and_more_gets_64_kib),
		CASE(a_large_frame_is_split_for_small_ones_and_joined_when_all_are_back),
		CASE(a_split_frame_is_no_large_one_while_one_part_is_in_use),
		CASE(blocks_grow_with_what_the_pool_has),
		CASE(a_lower_order_is_tried_when_the_higher_has_failed),
		CASE(only_for_single_pages_memory_is_reclaimed_and_never_by_the_oom_killer),
		CASE(a_block_of_one_page_is_one_small_frame_whatever_was_asked_for),
		CASE(without_memory_what_is_there_is_given_and_a_small_frame_for_a_large),
		cmocka_unit_test(nothing_is_lost_whichever_allocation_fails),
		CASE(frames_keep_what_is_in_them_over_10000_steps),
		CASE(frames_keep_what_is_in_them_over_10000_other_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
