// SPDX-License-Identifier: GPL-2.0-only
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "pool.h"
#include "stats.h"

#define LARGE_ORDER (16 - PAGE_SHIFT) /* of a large frame */
#define BLOCK_ORDER (21 - PAGE_SHIFT) /* of a huge page: 2 MiB */
#define MIDDLE_ORDER (18 - PAGE_SHIFT)
#define LARGE_MAX (1 << (BLOCK_ORDER - LARGE_ORDER)) /* large frames in a block */
#define SMALL_IN_LARGE (1 << LARGE_ORDER)
#define ALL_SMALL ((1 << SMALL_IN_LARGE) - 1)
/* Below this a page does: what a large frame costs would be wasted. */
#define SMALL_BYTES pd_frame_room(PD_FRAME_SMALL)
#define TRIM_DELAY HZ
#define BLOCKS_AT_ONCE 256 /* looked at with bottom halves disabled */

struct pd_pool {
	refcount_t refs; /* of connections, of blocks in the lists, of the work */
	int node;
	struct mem_cgroup *memcg; /* with a reference on it */
	struct list_head list; /* in pools, under pools_lock */
	spinlock_t lock; /* protects the blocks and their frames */
	struct list_head with_large; /* blocks with a large frame that is not in use */
	struct list_head with_small; /* blocks with a large frame that is split and has room */
	unsigned int joinable; /* large frames that are split and have all of it */
	struct list_head blocks;
	unsigned int nr_blocks;
	size_t bytes; /* of all blocks */
	size_t empty_bytes; /* of those without a frame in use */
	bool trimming; /* the work is queued: as long as there are blocks */
	struct delayed_work trim;
	struct rcu_head rcu;
};

/* A stretch of memory that is contiguous. A block of fewer pages than a large
 * frame has is one such frame, split and incomplete.
 */
struct pd_block {
	struct pd_pool *pool;
	struct page *page;
	unsigned int order;
	unsigned int used; /* frames in use, of either size */
	bool idle; /* none was since the work last ran */
	struct list_head list, with_large, with_small;
	DECLARE_BITMAP(free_large, LARGE_MAX);
	u16 free_small[LARGE_MAX]; /* of those that are split */
	u16 nr_free_small;
	struct pd_frame large[]; /* the heads of its large frames */
};

static LIST_HEAD(pools);
static DEFINE_SPINLOCK(pools_lock); /* protects the list, and references that may be the last */
static struct shrinker *shrinker;
static struct workqueue_struct *work_queue;

static void trim(struct work_struct *work);

static bool is_small_block(const struct pd_block *block)
{
	return block->order < LARGE_ORDER;
}

/* ---- blocks ------------------------------------------------------------------ */

static unsigned int wanted_order(size_t bytes)
{
	if (bytes < PD_FRAME_LARGE * 4)
		return LARGE_ORDER;
	return bytes < 1 << (BLOCK_ORDER + PAGE_SHIFT) ? MIDDLE_ORDER : BLOCK_ORDER;
}

/* The share of its memory cgroup that a pool may have, so that what else the group
 * allocates is not what fails: a group beyond its limit ends with the OOM killer.
 */
#define SHARE 4

static bool may_grow(const struct pd_pool *pool)
{
	size_t limit = pd_memcg_limit(pool->memcg) / SHARE / num_online_nodes();

	return READ_ONCE(pool->bytes) < limit && !pd_memcg_is_short(pool->memcg);
}

static struct page *alloc_block_pages(struct pd_pool *pool, unsigned int wanted,
				      unsigned int *order, gfp_t gfp)
{
	static const unsigned int orders[] = { BLOCK_ORDER, MIDDLE_ORDER, LARGE_ORDER, 0 };
	struct mem_cgroup *old;
	struct page *page = NULL;
	unsigned int i;

	/* NORETRY also keeps the cgroup's OOM killer out. */
	gfp |= __GFP_NOWARN | __GFP_NORETRY | __GFP_COMP;
	if (pool->memcg)
		gfp |= __GFP_ACCOUNT;
	old = set_active_memcg(pool->memcg);
	for (i = 0; i < ARRAY_SIZE(orders) && !page; i++) {
		if (orders[i] > wanted)
			continue;
		*order = orders[i];
		page = alloc_pages_node(pool->node, orders[i] ? gfp & ~__GFP_DIRECT_RECLAIM : gfp,
					orders[i]);
	}
	set_active_memcg(old);
	return page;
}

static struct pd_block *make_block(struct pd_pool *pool, gfp_t gfp)
{
	unsigned int wanted = wanted_order(READ_ONCE(pool->bytes));
	struct pd_block *block;

	if (!may_grow(pool))
		return NULL;
	block = kzalloc(sizeof(*block) + (sizeof(block->large[0]) << (wanted - LARGE_ORDER)),
			gfp | __GFP_NOWARN);
	if (!block)
		return NULL;
	block->page = alloc_block_pages(pool, wanted, &block->order, gfp);
	if (!block->page) {
		kfree(block);
		return NULL;
	}
	block->pool = pool;
	INIT_LIST_HEAD(&block->with_large);
	INIT_LIST_HEAD(&block->with_small);
	if (is_small_block(block)) {
		block->nr_free_small = 1 << block->order;
		block->free_small[0] = (1 << block->nr_free_small) - 1;
	} else {
		/* bitmap_fill() sets whole words. */
		bitmap_set(block->free_large, 0, 1 << (block->order - LARGE_ORDER));
	}
	pd_stat_add(PD_STAT_CURR_POOL_BYTES, PAGE_SIZE << block->order);
	refcount_inc(&pool->refs);
	return block;
}

/* Any context; not in the pool's lists any more. */
static void free_block(struct pd_block *block)
{
	struct pd_pool *pool = block->pool;

	pd_stat_add(PD_STAT_CURR_POOL_BYTES, -(s64)(PAGE_SIZE << block->order));
	__free_pages(block->page, block->order);
	kfree(block);
	pd_pool_put(pool);
}

/* The work runs TRIM_DELAY from now, unless it does so before. */
static void trim_later(struct pd_pool *pool)
{
	if (pool->trimming)
		return;
	pool->trimming = true;
	refcount_inc(&pool->refs);
	queue_delayed_work(work_queue, &pool->trim, TRIM_DELAY);
}

static void add_block(struct pd_pool *pool, struct pd_block *block)
{
	lockdep_assert_held(&pool->lock);
	list_add(&block->list, &pool->blocks);
	pool->nr_blocks++;
	pool->bytes += PAGE_SIZE << block->order;
	pool->empty_bytes += PAGE_SIZE << block->order;
	if (is_small_block(block))
		list_add(&block->with_small, &pool->with_small);
	else
		list_add(&block->with_large, &pool->with_large);
	trim_later(pool);
}

/* Number @i of @block is a split frame of which nothing is in use. */
static bool is_joinable(const struct pd_block *block, unsigned int i)
{
	return block->free_small[i] == ALL_SMALL && !is_small_block(block);
}

/* It has no frame in use. */
static void remove_block(struct pd_pool *pool, struct pd_block *block)
{
	unsigned int i;

	lockdep_assert_held(&pool->lock);
	for (i = 0; i < LARGE_MAX; i++)
		pool->joinable -= is_joinable(block, i);
	list_del(&block->list);
	pool->nr_blocks--;
	list_del_init(&block->with_large);
	list_del_init(&block->with_small);
	pool->bytes -= PAGE_SIZE << block->order;
	pool->empty_bytes -= PAGE_SIZE << block->order;
}

/* ---- frames ------------------------------------------------------------------ */

static struct pd_frame *init_frame(struct pd_block *block, struct pd_frame *frame, void *data,
				   u32 size)
{
	if (!block->used++)
		block->pool->empty_bytes -= PAGE_SIZE << block->order;
	block->idle = false;
	frame->block = block;
	frame->data = data;
	frame->size = size;
	frame->reserved = 0;
	frame->filled = 0;
	frame->taken = 0;
	return frame;
}

/* A split frame of which nothing is in use: number *@i of the block. */
static struct pd_block *find_joinable(struct pd_pool *pool, unsigned int *i)
{
	struct pd_block *block;

	list_for_each_entry_reverse(block, &pool->with_small, with_small) {
		for (*i = 0; *i < LARGE_MAX; ++*i) {
			if (is_joinable(block, *i))
				return block;
		}
	}
	return NULL;
}

/* It becomes a large one again, once a large one is needed: the small ones that come and go
 * need not split it each time.
 */
static void join(struct pd_pool *pool)
{
	unsigned int i;
	struct pd_block *block = find_joinable(pool, &i);

	if (WARN_ON_ONCE(!block))
		return;
	pool->joinable--;
	block->free_small[i] = 0;
	block->nr_free_small -= SMALL_IN_LARGE;
	if (!block->nr_free_small)
		list_del_init(&block->with_small);
	if (bitmap_empty(block->free_large, LARGE_MAX))
		list_add(&block->with_large, &pool->with_large);
	__set_bit(i, block->free_large);
}

static bool has_large(const struct pd_pool *pool)
{
	return !list_empty(&pool->with_large) || pool->joinable;
}

/* Claims a large frame that is not in use: number *@i of the block. */
static struct pd_block *claim_large(struct pd_pool *pool, unsigned int *i)
{
	struct pd_block *block;

	lockdep_assert_held(&pool->lock);
	if (list_empty(&pool->with_large) && pool->joinable)
		join(pool);
	block = list_first_entry_or_null(&pool->with_large, struct pd_block, with_large);
	if (!block)
		return NULL;
	*i = find_first_bit(block->free_large, LARGE_MAX);
	__clear_bit(*i, block->free_large);
	if (bitmap_empty(block->free_large, LARGE_MAX))
		list_del_init(&block->with_large);
	return block;
}

static struct pd_frame *take_large(struct pd_pool *pool)
{
	unsigned int i;
	struct pd_block *block = claim_large(pool, &i);

	if (!block)
		return NULL;
	return init_frame(block, &block->large[i], page_address(block->page) + i * PD_FRAME_LARGE,
			  PD_FRAME_LARGE);
}

/* A large frame becomes SMALL_IN_LARGE small ones. */
static struct pd_block *split_large(struct pd_pool *pool)
{
	unsigned int i;
	struct pd_block *block = claim_large(pool, &i);

	if (!block)
		return NULL;
	block->free_small[i] = ALL_SMALL;
	pool->joinable++;
	block->nr_free_small += SMALL_IN_LARGE;
	if (list_empty(&block->with_small))
		list_add(&block->with_small, &pool->with_small);
	return block;
}

static struct pd_frame *take_small(struct pd_pool *pool)
{
	struct pd_block *block =
		list_first_entry_or_null(&pool->with_small, struct pd_block, with_small);
	unsigned int i, j;
	void *address;

	lockdep_assert_held(&pool->lock);
	if (!block)
		block = split_large(pool);
	if (!block)
		return NULL;
	for (i = 0; !block->free_small[i]; i++)
		;
	j = __ffs(block->free_small[i]);
	pool->joinable -= is_joinable(block, i);
	block->free_small[i] &= ~(1 << j);
	if (!--block->nr_free_small)
		list_del_init(&block->with_small);
	address = page_address(block->page) + i * PD_FRAME_LARGE + j * PD_FRAME_SMALL;
	return init_frame(block, address, address + PD_FRAME_HEADER, PD_FRAME_SMALL);
}

static struct pd_frame *take(struct pd_pool *pool, size_t bytes)
{
	struct pd_frame *frame = NULL;

	if (bytes > SMALL_BYTES)
		frame = take_large(pool);
	return frame ?: take_small(pool);
}

struct pd_frame *pd_pool_take_ready(struct pd_pool *pool, size_t bytes)
{
	struct pd_frame *frame = NULL;

	spin_lock(&pool->lock);
	/* A large frame that must be made anew comes before many small ones. */
	if (bytes <= SMALL_BYTES || has_large(pool))
		frame = take(pool, bytes);
	spin_unlock(&pool->lock);
	return frame;
}

struct pd_frame *pd_pool_take(struct pd_pool *pool, size_t bytes, gfp_t gfp)
{
	struct pd_frame *frame;
	struct pd_block *block;

	block = make_block(pool, gfp);
	spin_lock_bh(&pool->lock);
	if (block)
		add_block(pool, block);
	frame = take(pool, bytes);
	spin_unlock_bh(&pool->lock);
	return frame;
}

void pd_pool_give_back(struct pd_frame *frame)
{
	struct pd_block *block = frame->block;
	struct pd_pool *pool = block->pool;
	unsigned long offset = (void *)frame->data - page_address(block->page);
	unsigned int i = offset / PD_FRAME_LARGE;
	bool came_together = false;

	spin_lock(&pool->lock);
	if (frame->size == PD_FRAME_LARGE) {
		__set_bit(i, block->free_large);
	} else {
		block->free_small[i] |= 1 << offset % PD_FRAME_LARGE / PD_FRAME_SMALL;
		block->nr_free_small++;
		came_together = is_joinable(block, i);
		pool->joinable += came_together;
	}
	if (!bitmap_empty(block->free_large, LARGE_MAX) && list_empty(&block->with_large))
		list_add(&block->with_large, &pool->with_large);
	if (block->nr_free_small && list_empty(&block->with_small))
		list_add(&block->with_small, &pool->with_small);
	/* The next small ones are rather of others, and join() finds it there. */
	if (came_together && !list_is_last(&block->with_small, &pool->with_small))
		list_move_tail(&block->with_small, &pool->with_small);
	if (!--block->used)
		pool->empty_bytes += PAGE_SIZE << block->order;
	spin_unlock(&pool->lock);
}

/* ---- pools ------------------------------------------------------------------- */

static struct pd_pool *find_pool(struct mem_cgroup *memcg, int node)
{
	struct pd_pool *pool;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (pool->memcg == memcg && pool->node == node &&
		    refcount_inc_not_zero(&pool->refs))
			return pool;
	return NULL;
}

struct pd_pool *pd_pool_get(struct mem_cgroup *memcg, gfp_t gfp)
{
	int node = numa_node_id();
	struct pd_pool *pool, *found;

	spin_lock_bh(&pools_lock);
	pool = find_pool(memcg, node);
	spin_unlock_bh(&pools_lock);
	if (pool)
		return pool;
	pool = kzalloc(sizeof(*pool), gfp | __GFP_NOWARN);
	if (!pool)
		return NULL;
	refcount_set(&pool->refs, 1);
	pool->node = node;
	pool->memcg = memcg;
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->with_large);
	INIT_LIST_HEAD(&pool->with_small);
	INIT_LIST_HEAD(&pool->blocks);
	INIT_DELAYED_WORK(&pool->trim, trim);
	spin_lock_bh(&pools_lock);
	found = find_pool(memcg, node);
	if (!found) {
		pd_memcg_hold(memcg);
		list_add(&pool->list, &pools);
	}
	spin_unlock_bh(&pools_lock);
	if (!found)
		return pool;
	kfree(pool);
	return found;
}

void pd_pool_put(struct pd_pool *pool)
{
	if (!pool || !refcount_dec_and_test(&pool->refs))
		return;
	spin_lock_bh(&pools_lock);
	list_del(&pool->list);
	spin_unlock_bh(&pools_lock);
	WARN_ON_ONCE(pool->bytes);
	pd_memcg_put(pool->memcg);
	kfree_rcu(pool, rcu);
}

bool pd_pool_is_of(const struct pd_pool *pool, const struct mem_cgroup *memcg)
{
	return pool->memcg == memcg;
}

/* ---- giving back ------------------------------------------------------------- */

/* Free blocks without a frame in use, until @bytes of them have gone and, if @idle, those alone
 * that were so the last time. Returns how many pages.
 */
static unsigned long drop_empty(struct pd_pool *pool, size_t bytes, bool idle)
{
	LIST_HEAD(dropped);
	struct pd_block *block, *next;
	unsigned long pages = 0;
	unsigned int left;

	spin_lock_bh(&pool->lock);
	for (left = pool->nr_blocks; left && pages << PAGE_SHIFT < bytes; left--) {
		if (left % BLOCKS_AT_ONCE == 0) {
			spin_unlock_bh(&pool->lock);
			spin_lock_bh(&pool->lock);
		}
		if (list_empty(&pool->blocks))
			break;
		block = list_first_entry(&pool->blocks, struct pd_block, list);
		if (!block->used && (block->idle || !idle)) {
			remove_block(pool, block);
			list_add(&block->list, &dropped);
			pages += 1UL << block->order;
		} else {
			block->idle |= idle && !block->used;
			list_move_tail(&block->list, &pool->blocks);
		}
	}
	spin_unlock_bh(&pool->lock);
	list_for_each_entry_safe(block, next, &dropped, list)
		free_block(block);
	return pages;
}

/* What nobody has needed since the last time goes: to allocate and to clear pages costs as
 * much as a part of the copy, so the rest is kept.
 */
static void trim(struct work_struct *work)
{
	struct pd_pool *pool = container_of(to_delayed_work(work), struct pd_pool, trim);

	drop_empty(pool, SIZE_MAX, true);
	spin_lock_bh(&pool->lock);
	pool->trimming = false;
	if (!list_empty(&pool->blocks))
		trim_later(pool);
	spin_unlock_bh(&pool->lock);
	pd_pool_put(pool);
}

static unsigned long count_empty(struct shrinker *unused, struct shrink_control *control)
{
	unsigned long pages = 0;
	struct pd_pool *pool;

	spin_lock_bh(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		pages += READ_ONCE(pool->empty_bytes) >> PAGE_SHIFT;
	spin_unlock_bh(&pools_lock);
	return pages ?: SHRINK_EMPTY;
}

/* A pool that has something to give, with a reference. */
static struct pd_pool *next_empty(void)
{
	struct pd_pool *pool;

	lockdep_assert_held(&pools_lock);
	list_for_each_entry(pool, &pools, list)
		if (READ_ONCE(pool->empty_bytes) && refcount_inc_not_zero(&pool->refs))
			return pool;
	return NULL;
}

static unsigned long free_empty(struct shrinker *unused, struct shrink_control *control)
{
	unsigned long freed = 0;
	struct pd_pool *pool;

	while (freed < control->nr_to_scan) {
		unsigned long pages;

		spin_lock_bh(&pools_lock);
		pool = next_empty();
		spin_unlock_bh(&pools_lock);
		if (!pool)
			break;
		pages = drop_empty(pool, (control->nr_to_scan - freed) << PAGE_SHIFT, false);
		pd_pool_put(pool);
		freed += pages;
		if (!pages)
			break;
	}
	return freed ?: SHRINK_STOP;
}

int pd_pool_init(void)
{
	BUILD_BUG_ON(sizeof(struct pd_frame) > PD_FRAME_HEADER);
	BUILD_BUG_ON(SMALL_IN_LARGE > 16);
	work_queue = alloc_workqueue("pipedevice_pool", WQ_UNBOUND, 0);
	if (!work_queue)
		return -ENOMEM;
	shrinker = pd_shrinker_register(count_empty, free_empty);
	if (!shrinker) {
		destroy_workqueue(work_queue);
		return -ENOMEM;
	}
	return 0;
}

void pd_pool_exit(void)
{
	struct pd_pool *pool;
	bool gone;

	/* What is left waits to be trimmed: do so now. The work holds a reference. */
	for (;;) {
		spin_lock_bh(&pools_lock);
		pool = list_first_entry_or_null(&pools, struct pd_pool, list);
		/* One whose last reference has just gone is about to leave the list. */
		gone = pool && !refcount_inc_not_zero(&pool->refs);
		spin_unlock_bh(&pools_lock);
		if (!pool)
			break;
		if (gone) {
			schedule_timeout_uninterruptible(1);
			continue;
		}
		flush_delayed_work(&pool->trim);
		pd_pool_put(pool);
	}
	pd_shrinker_free(shrinker);
	destroy_workqueue(work_queue);
	rcu_barrier();
	WARN_ON(!list_empty(&pools));
}
