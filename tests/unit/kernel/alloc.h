/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test says to the allocators, and what they say. */
#ifndef KERNEL_ALLOC_H
#define KERNEL_ALLOC_H

#include <linux/mm.h>

struct kernel_alloc {
	bool is_page; /* or an object of the slab allocator */
	unsigned int order;
	int node;
	gfp_t gfp;
};

/* Call @hook inside each allocation, before it is made: false makes it fail. NULL: none. */
void kernel_hook_alloc(bool (*hook)(const struct kernel_alloc *alloc, void *arg), void *arg);
/* What has been allocated and not freed. */
long kernel_live_pages(void);
long kernel_live_objects(void);

#endif /* KERNEL_ALLOC_H */
