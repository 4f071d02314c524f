/* SPDX-License-Identifier: GPL-2.0-only */
#include <stdlib.h>
#include <string.h>

#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "alloc.h"
#include "lock.h"

int kernel_node;
unsigned int kernel_nodes = 1;

static bool (*alloc_hook)(const struct kernel_alloc *alloc, void *arg);
static void *hook_arg;
static long live_pages, live_objects;
static _Thread_local struct mem_cgroup *active_memcg;

void kernel_hook_alloc(bool (*hook)(const struct kernel_alloc *alloc, void *arg), void *arg)
{
	hook_arg = arg;
	alloc_hook = hook;
}

long kernel_live_pages(void)
{
	return __atomic_load_n(&live_pages, __ATOMIC_SEQ_CST);
}

long kernel_live_objects(void)
{
	return __atomic_load_n(&live_objects, __ATOMIC_SEQ_CST);
}

static bool may_alloc(struct kernel_alloc alloc)
{
	if (alloc.gfp & __GFP_DIRECT_RECLAIM)
		kernel_may_sleep();
	return !alloc_hook || alloc_hook(&alloc, hook_arg);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	void *memory = may_alloc((struct kernel_alloc){ .gfp = gfp }) ? calloc(1, size) : NULL;

	if (memory)
		__atomic_add_fetch(&live_objects, 1, __ATOMIC_SEQ_CST);
	return memory;
}

void kfree(void *memory)
{
	if (memory)
		__atomic_sub_fetch(&live_objects, 1, __ATOMIC_SEQ_CST);
	free(memory);
}

struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg)
{
	struct mem_cgroup *old = active_memcg;

	active_memcg = memcg;
	return old;
}

static void charge(struct mem_cgroup *memcg, long pages)
{
	if (memcg)
		__atomic_add_fetch(&memcg->charged, pages, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&live_pages, pages, __ATOMIC_SEQ_CST);
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order)
{
	struct kernel_alloc alloc = { .is_page = true, .order = order, .node = node, .gfp = gfp };
	size_t size = PAGE_SIZE << order;
	struct page *page;

	if (!may_alloc(alloc))
		return NULL;
	page = calloc(1, sizeof(*page));
	if (!page)
		kernel_die("the test has no memory");
	page->address = aligned_alloc(size, size);
	if (!page->address)
		kernel_die("the test has no memory");
	/* Pages come as they are. */
	memset(page->address, 0xa5, size);
	page->order = order;
	page->memcg = gfp & __GFP_ACCOUNT ? active_memcg : NULL;
	charge(page->memcg, 1L << order);
	return page;
}

void __free_pages(struct page *page, unsigned int order)
{
	if (page->order != order)
		kernel_die("pages of order %u are freed as of order %u", page->order, order);
	charge(page->memcg, -(1L << order));
	free(page->address);
	free(page);
}
