/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/pool.c in user space: how long blocks and pools live, who pays for them, and
 * what happens when two come at once, which is made to happen inside an allocation or
 * before a lock.
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include <linux/shrinker.h>

#include "kernel/lock.h"
#include "kernel/shrink.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "pool_case.h"

/* ---- empty blocks -------------------------------------------------------------- */

static void a_block_that_is_empty_is_kept_for_the_next_bytes(void **state)
{
	struct pd_frame *frame = take_of(pool, 1);

	assert_int_equal(kernel_shrinkable(), SHRINK_EMPTY);
	give_back(frame);
	assert_pages(LARGE_PAGES);
	assert_int_equal(kernel_shrinkable(), LARGE_PAGES);
	assert_int_equal(kernel_pending_work(), 1);
	assert_ptr_equal(take_of(pool, 1), frame);
	assert_int_equal(kernel_shrinkable(), SHRINK_EMPTY);
	give_back(frame);
}

static void the_work_frees_what_was_not_needed_since_it_last_ran(void **state)
{
	struct pd_frame *frames[3];

	take_all(frames, 3, PD_FRAME_LARGE);
	give_all(frames, 3);
	assert_int_equal(kernel_shrinkable(), 3 * LARGE_PAGES);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(3 * LARGE_PAGES);
	/* For a moment two of them are needed. */
	take_all(frames, 2, PD_FRAME_LARGE);
	give_all(frames, 2);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(2 * LARGE_PAGES);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(0);
	assert_int_equal(kernel_pending_work(), 0);
}

static void a_block_in_use_is_not_idle_until_the_work_has_seen_it_empty(void **state)
{
	struct pd_frame *frame = take_of(pool, 1);

	assert_int_equal(kernel_run_work(), 1);
	assert_int_equal(kernel_run_work(), 1);
	give_back(frame);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(LARGE_PAGES);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(0);
	assert_int_equal(kernel_run_work(), 0);
}

static void the_shrinker_takes_empty_blocks_of_all_pools_and_says_how_much(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct pd_pool *other = pd_pool_get(&memcg, GFP_KERNEL);
	struct pd_frame *frames[3], *kept = take_of(other, PD_FRAME_LARGE);

	assert_int_equal(kernel_shrink(1), SHRINK_STOP);
	take_all(frames, 2, PD_FRAME_LARGE);
	frames[2] = take_of(other, PD_FRAME_LARGE);
	give_all(frames, 3);
	assert_int_equal(kernel_shrinkable(), 3 * LARGE_PAGES);
	assert_int_equal(kernel_shrink(1), LARGE_PAGES);
	assert_int_equal(kernel_shrinkable(), 2 * LARGE_PAGES);
	assert_int_equal(kernel_shrink(1000), 2 * LARGE_PAGES);
	assert_int_equal(kernel_shrink(1000), SHRINK_STOP);
	assert_int_equal(kernel_shrinkable(), SHRINK_EMPTY);
	assert_pages(LARGE_PAGES);
	give_back(kept);
	pd_pool_put(other);
	/* The pool's last block, and with it the pool. */
	kernel_shrink(1000);
	assert_pages(0);
	kernel_run_work();
	assert_int_equal(memcg.css.refs, 0);
	assert_int_equal(memcg.charged, 0);
}

static void exit_returns_with_blocks_that_wait_to_be_trimmed(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct pd_pool *other = pd_pool_get(&memcg, GFP_KERNEL);
	struct pd_frame *frames[40];
	int i;

	take_all(frames, 40, PD_FRAME_LARGE);
	give_all(frames, 40);
	/* Needed a moment ago: the work has to run twice. */
	frames[0] = take_of(pool, 1);
	give_back(frames[0]);
	for (i = 0; i < 20; i++)
		frames[i] = take_of(other, i % 2 ? 1 : PD_FRAME_LARGE);
	pd_pool_put(other);
	give_all(frames, 20);
	assert_int_equal(kernel_pending_work(), 2);
	tear_down(NULL);
	assert_int_equal(memcg.css.refs, 0);
	set_up(NULL);
}

static bool bring_back(const struct kernel_alloc *alloc, void *frame)
{
	kernel_hook_alloc(NULL, NULL);
	give_back(frame);
	return true;
}

static void a_block_made_while_another_frame_came_back_is_trimmed_if_not_used(void **state)
{
	struct pd_frame *frames[LARGE_PAGES];

	take_all(frames, LARGE_PAGES, 1);
	kernel_hook_alloc(bring_back, frames[5]);
	assert_ptr_equal(take_of(pool, 1), frames[5]);
	assert_pages(2 * LARGE_PAGES);
	assert_int_equal(kernel_shrinkable(), LARGE_PAGES);
	assert_int_equal(kernel_run_work(), 1);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(LARGE_PAGES);
	give_all(frames, LARGE_PAGES);
	assert_int_equal(kernel_run_work(), 1);
	assert_int_equal(kernel_run_work(), 1);
	assert_pages(0);
}

static void exit_returns_with_a_block_that_was_never_used(void **state)
{
	struct pd_frame *frames[LARGE_PAGES];

	take_all(frames, LARGE_PAGES, 1);
	kernel_hook_alloc(bring_back, frames[5]);
	take_all(frames + 5, 1, 1);
	give_all(frames, LARGE_PAGES);
}

static bool bring_back_and_fail(const struct kernel_alloc *alloc, void *frame)
{
	bring_back(alloc, frame);
	return false;
}

static void a_frame_that_came_back_meanwhile_does_if_no_block_could_be_made(void **state)
{
	struct pd_frame *frame = take_of(pool, PD_FRAME_LARGE);

	kernel_hook_alloc(bring_back_and_fail, frame);
	assert_ptr_equal(take_of(pool, PD_FRAME_LARGE), frame);
	assert_pages(LARGE_PAGES);
	give_back(frame);
}

/* ---- whose pool ------------------------------------------------------------------ */

static void sockets_of_one_cgroup_on_one_node_share_a_pool(void **state)
{
	static struct mem_cgroup one = UNLIMITED, two = UNLIMITED;
	struct pd_pool *pools[4];
	int i;

	pools[0] = pd_pool_get(&one, GFP_KERNEL);
	pools[1] = pd_pool_get(&one, GFP_KERNEL);
	assert_ptr_equal(pools[0], pools[1]);
	pools[2] = pd_pool_get(&two, GFP_KERNEL);
	assert_ptr_not_equal(pools[0], pools[2]);
	kernel_node = 1;
	pools[3] = pd_pool_get(&one, GFP_KERNEL);
	kernel_node = 0;
	assert_ptr_not_equal(pools[0], pools[3]);
	assert_true(pd_pool_is_of(pools[3], &one));
	assert_false(pd_pool_is_of(pools[2], &one));
	assert_true(pd_pool_is_of(pool, NULL));
	assert_int_equal(one.css.refs, 2);
	assert_int_equal(two.css.refs, 1);
	for (i = 0; i < 4; i++)
		pd_pool_put(pools[i]);
	assert_int_equal(one.css.refs, 0);
	assert_int_equal(two.css.refs, 0);
}

static bool note_alloc(const struct kernel_alloc *alloc, void *last)
{
	*(struct kernel_alloc *)last = *alloc;
	return true;
}

static void memory_is_charged_to_the_cgroup_and_is_of_the_node_of_the_pool(void **state)
{
	struct kernel_alloc last;
	static struct mem_cgroup memcg = UNLIMITED;
	struct pd_pool *mine;
	struct pd_frame *frame;

	kernel_node = 1;
	mine = pd_pool_get(&memcg, GFP_KERNEL);
	kernel_node = 0;
	kernel_hook_alloc(note_alloc, &last);
	frame = take_of(mine, PD_FRAME_LARGE);
	assert_int_equal(last.node, 1);
	assert_int_equal(memcg.charged, LARGE_PAGES);
	give_back(frame);
	/* A pool that nobody pays for has no such charge. */
	frame = take_of(pool, PD_FRAME_LARGE);
	assert_int_equal(memcg.charged, LARGE_PAGES);
	assert_false(last.gfp & __GFP_ACCOUNT);
	give_back(frame);
	pd_pool_put(mine);
	/* Its empty block keeps it. */
	assert_int_equal(memcg.css.refs, 1);
	kernel_run_work();
	kernel_run_work();
	assert_int_equal(memcg.charged, 0);
	assert_int_equal(memcg.css.refs, 0);
}

/* Large frames until there are no more. Returns how many pages that were. */
static long fill_pool(struct mem_cgroup *memcg)
{
	struct pd_pool *mine = pd_pool_get(memcg, GFP_KERNEL);
	struct pd_frame *frames[200];
	long charged;
	int n = 0;

	while (n < 200 && (frames[n] = take_of(mine, PD_FRAME_LARGE)))
		n++;
	charged = memcg->charged;
	/* What is there may be used. */
	if (n) {
		give_back(frames[n - 1]);
		assert_ptr_equal(take_of(mine, PD_FRAME_LARGE), frames[n - 1]);
	}
	give_all(frames, n);
	pd_pool_put(mine);
	kernel_shrink(10000);
	kernel_run_work();
	assert_int_equal(memcg->css.refs, 0);
	return charged;
}

static void a_pool_has_at_most_its_share_of_the_cgroup(void **state)
{
	static struct mem_cgroup parent = UNLIMITED, memcg = UNLIMITED;

	memcg.parent = &parent;
	/* A quarter, and no more blocks once it has that much. */
	memcg.memory.max = 4 * 4 * MIDDLE_PAGES;
	assert_int_equal(fill_pool(&memcg), 4 * MIDDLE_PAGES);
	/* One that is begun is not cut. */
	memcg.memory.max += 4;
	assert_int_equal(fill_pool(&memcg), 5 * MIDDLE_PAGES);
	memcg.memory.max = PAGE_COUNTER_MAX;
	memcg.memory.high = 4 * 3 * MIDDLE_PAGES;
	assert_int_equal(fill_pool(&memcg), 3 * MIDDLE_PAGES);
	parent.memory.max = 4 * 2 * MIDDLE_PAGES;
	assert_int_equal(fill_pool(&memcg), 2 * MIDDLE_PAGES);
	kernel_nodes = 2;
	assert_int_equal(fill_pool(&memcg), MIDDLE_PAGES);
	kernel_nodes = 1;
	parent.memory.high = 0;
	assert_int_equal(fill_pool(&memcg), 0);
}

static void a_pool_does_not_grow_while_its_cgroup_is_short(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct pd_pool *mine = pd_pool_get(&memcg, GFP_KERNEL);
	struct pd_frame *frame = take_of(mine, PD_FRAME_LARGE);

	memcg.is_short = true;
	assert_null(take_of(mine, PD_FRAME_LARGE));
	assert_null(take_of(mine, 1));
	give_back(frame);
	frame = take_of(mine, 1);
	assert_non_null(frame);
	memcg.is_short = false;
	give_back(frame);
	pd_pool_put(mine);
	kernel_shrink(1);
	kernel_run_work();
	assert_int_equal(memcg.css.refs, 0);
}

/* ---- races ------------------------------------------------------------------------ */

struct getter {
	struct mem_cgroup *memcg;
	struct pd_pool *got;
};

static void get_pool(void *arg)
{
	struct getter *getter = arg;

	getter->got = pd_pool_get(getter->memcg, GFP_KERNEL);
}

static bool get_inside(const struct kernel_alloc *alloc, void *arg)
{
	kernel_hook_alloc(NULL, NULL);
	get_pool(arg);
	return true;
}

static void two_that_make_a_pool_at_once_get_the_same(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct getter getter = { &memcg, NULL };
	struct pd_pool *mine;

	kernel_hook_alloc(get_inside, &getter);
	mine = pd_pool_get(&memcg, GFP_KERNEL);
	assert_ptr_equal(mine, getter.got);
	assert_int_equal(memcg.css.refs, 1);
	pd_pool_put(mine);
	assert_int_equal(memcg.css.refs, 1);
	pd_pool_put(mine);
	assert_int_equal(memcg.css.refs, 0);
}

static void a_pool_whose_last_reference_has_gone_is_not_found(void **state)
{
	static struct mem_cgroup memcg = UNLIMITED;
	struct getter getter = { &memcg, NULL };
	struct pd_pool *mine = pd_pool_get(&memcg, GFP_KERNEL);

	/* It is put, and is about to leave the list. */
	kernel_before_lock(get_pool, &getter);
	pd_pool_put(mine);
	assert_non_null(getter.got);
	assert_ptr_not_equal(getter.got, mine);
	assert_int_equal(memcg.css.refs, 1);
	pd_pool_put(getter.got);
	assert_int_equal(memcg.css.refs, 0);
}

static sem_t is_going, may_go;

static void stand_still(void *unused)
{
	sem_post(&is_going);
	sem_wait(&may_go);
}

static void *put_pool(void *going)
{
	pd_pool_put(going);
	return NULL;
}

static void let_go(void *unused)
{
	sem_post(&may_go);
}

static void exit_waits_for_a_pool_that_is_about_to_leave_the_list(void **state)
{
	pthread_t thread;

	sem_init(&is_going, 0, 0);
	sem_init(&may_go, 0, 0);
	kernel_before_lock(stand_still, NULL);
	assert_int_equal(pthread_create(&thread, NULL, put_pool, pool), 0);
	sem_wait(&is_going);
	kernel_instead_of_wait(let_go, NULL);
	pd_pool_exit();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_nothing_left();
	set_up(NULL);
}

static bool give_and_trim(const struct kernel_alloc *alloc, void *frame)
{
	bring_back(alloc, frame);
	kernel_shrink(1000);
	kernel_run_work();
	return true;
}

static void all_blocks_may_go_while_one_is_made(void **state)
{
	struct pd_frame *frame = take_of(pool, PD_FRAME_LARGE);

	kernel_hook_alloc(give_and_trim, frame);
	frame = take_of(pool, PD_FRAME_LARGE);
	assert_pages(LARGE_PAGES);
	memset(frame->data, 1, pd_frame_capacity(frame));
	give_back(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_block_that_is_empty_is_kept_for_the_next_bytes),
		CASE(the_work_frees_what_was_not_needed_since_it_last_ran),
		CASE(a_block_in_use_is_not_idle_until_the_work_has_seen_it_empty),
		CASE(the_shrinker_takes_empty_blocks_of_all_pools_and_says_how_much),
		CASE(exit_returns_with_blocks_that_wait_to_be_trimmed),
		CASE(a_block_made_while_another_frame_came_back_is_trimmed_if_not_used),
		CASE(exit_returns_with_a_block_that_was_never_used),
		CASE(a_frame_that_came_back_meanwhile_does_if_no_block_could_be_made),
		CASE(sockets_of_one_cgroup_on_one_node_share_a_pool),
		CASE(memory_is_charged_to_the_cgroup_and_is_of_the_node_of_the_pool),
		CASE(a_pool_has_at_most_its_share_of_the_cgroup),
		CASE(a_pool_does_not_grow_while_its_cgroup_is_short),
		CASE(two_that_make_a_pool_at_once_get_the_same),
		CASE(a_pool_whose_last_reference_has_gone_is_not_found),
		CASE(exit_waits_for_a_pool_that_is_about_to_leave_the_list),
		CASE(all_blocks_may_go_while_one_is_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
