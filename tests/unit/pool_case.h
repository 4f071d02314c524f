/* SPDX-License-Identifier: GPL-2.0-only */
/* A pool for each case, of which nothing is left at its end. */
#ifndef POOL_CASE_H
#define POOL_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/memcontrol.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "kernel/alloc.h"
#include "pool.h"
#include "stats.h"

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define LARGE_PAGES 16
#define MIDDLE_PAGES 64
#define BLOCK_PAGES 512
#define SMALL_ROOM (PAGE_SIZE - PD_FRAME_HEADER)

#define UNLIMITED                                                \
	{                                                        \
		.memory = { PAGE_COUNTER_MAX, PAGE_COUNTER_MAX } \
	}

static struct pd_pool *pool;

static inline int set_up(void **state)
{
	if (pd_pool_init())
		return -1;
	pool = pd_pool_get(NULL, GFP_KERNEL);
	return pool ? 0 : -1;
}

static inline void assert_nothing_left(void)
{
	assert_int_equal(kernel_live_pages(), 0);
	assert_int_equal(kernel_live_objects(), 0);
	assert_int_equal(pd_stats[PD_STAT_CURR_POOL_BYTES], 0);
}

static inline int tear_down(void **state)
{
	kernel_hook_alloc(NULL, NULL);
	pd_pool_put(pool);
	pd_pool_exit();
	assert_nothing_left();
	return 0;
}

static inline void assert_pages(long pages)
{
	assert_int_equal(kernel_live_pages(), pages);
	assert_int_equal(pd_stats[PD_STAT_CURR_POOL_BYTES], pages * PAGE_SIZE);
}

static inline struct pd_frame *take_of(struct pd_pool *from, size_t bytes)
{
	struct pd_frame *frame;

	local_bh_disable();
	frame = pd_pool_take_ready(from, bytes);
	local_bh_enable();
	return frame ?: pd_pool_take(from, bytes, GFP_KERNEL);
}

static inline void give_back(struct pd_frame *frame)
{
	local_bh_disable();
	pd_pool_give_back(frame);
	local_bh_enable();
}

static inline void take_all(struct pd_frame **frames, int n, size_t bytes)
{
	int i;

	for (i = 0; i < n; i++) {
		frames[i] = take_of(pool, bytes);
		assert_non_null(frames[i]);
	}
}

static inline void give_all(struct pd_frame **frames, int n)
{
	int i;

	for (i = 0; i < n; i++)
		give_back(frames[i]);
}

#endif /* POOL_CASE_H */
