/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_MM_H
#define KERNEL_LINUX_MM_H

#include <asm/page.h>

#include <linux/gfp.h>
#include <linux/topology.h>

struct mem_cgroup;

/* A stretch of pages, on the heap. */
struct page {
	void *address;
	unsigned int order;
	struct mem_cgroup *memcg; /* that is charged, or NULL */
};

static inline void *page_address(const struct page *page)
{
	return page->address;
}

struct page *alloc_pages_node(int node, gfp_t gfp, unsigned int order);
void __free_pages(struct page *page, unsigned int order);

#endif /* KERNEL_LINUX_MM_H */
