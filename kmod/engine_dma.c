// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/slab.h>

#include "cmdq.h"
#include "engine.h"
#include "stats.h"

u32 pd_dma_from[MAX_NUMNODES];

static struct kmem_cache *jobs;

int pd_engine_dma_init(void)
{
	int node;

	for (node = 0; node < MAX_NUMNODES; node++)
		pd_dma_from[node] = PD_DMA_NEVER;
	jobs = KMEM_CACHE(pd_dma_job, SLAB_HWCACHE_ALIGN);
	return jobs ? 0 : -ENOMEM;
}

void pd_engine_dma_exit(void)
{
	kmem_cache_destroy(jobs);
}

struct pd_dma_job *pd_dma_job_begin(const struct iov_iter *iter, size_t bytes, bool write)
{
	struct pd_dma_job *job;
	unsigned long at;

	bytes = min3(bytes, pd_next_stretch(iter, &at), (size_t)PD_PINNED_MAX);
	if (bytes < PD_DMA_MIN || !current->mm)
		return NULL;
	job = kmem_cache_alloc(jobs, GFP_KERNEL | __GFP_NOWARN);
	if (!job)
		return NULL;
	if (!pd_pin(&job->pinned, at, bytes, write)) {
		kmem_cache_free(jobs, job);
		return NULL;
	}
	pd_copy_init(&job->copy);
	return job;
}

void pd_dma_job_end(struct pd_dma_job *job, u32 bytes)
{
	pd_unpin(&job->pinned, bytes);
	kmem_cache_free(jobs, job);
}

u32 pd_engine_dma_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes)
{
	const void *from = frame->data + offset;
	struct pd_dma_job *job;
	struct pd_copy *copy;

	job = pd_dma_job_begin(to, bytes, true);
	if (!job)
		return 0;
	copy = &job->copy;
	copy->bytes = min(bytes, job->pinned.window.size);
	bytes = copy->bytes;
	pd_side_add(&copy->source, virt_to_page(from), offset_in_page(from), bytes);
	pd_side_add_window(&copy->target, &job->pinned.window, 0, bytes);
	pd_cmdq_begin(copy);
	pd_stat_add(PD_STAT_DMA_DRAINED_BYTES, pd_cmdq_end(copy));
	pd_dma_job_end(job, bytes);
	iov_iter_advance(to, bytes);
	return bytes;
}
