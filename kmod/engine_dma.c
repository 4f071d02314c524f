// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "channel.h"
#include "cmdq.h"
#include "engine.h"
#include "stats.h"

struct pd_dma_from pd_dma_from[MAX_NUMNODES];

static struct kmem_cache *jobs;

/* Bytes of a stretch, on average: with fewer it is as if no two pages were adjacent. */
#define SCATTERED (16 << 10)

static void construct(void *memory)
{
	struct pd_dma_job *job = memory;

	init_completion(&job->copy.done);
	job->copy.key = get_random_u64();
}

int pd_engine_dma_init(void)
{
	int node;

	for (node = 0; node < MAX_NUMNODES; node++)
		pd_dma_from[node] = (struct pd_dma_from){ PD_DMA_NEVER, PD_DMA_NEVER };
	/* What has a constructor is not zeroed for each copy, as the rest of a kernel's memory may be
	 * (init_on_alloc=1). All else is written before it is read.
	 */
	jobs = kmem_cache_create("pd_dma_job", sizeof(struct pd_dma_job),
				 __alignof__(struct pd_dma_job), SLAB_HWCACHE_ALIGN, construct);
	return jobs ? 0 : -ENOMEM;
}

void pd_engine_dma_exit(void)
{
	kmem_cache_destroy(jobs);
}

/* The stretches of @side are rather those of ordinary pages. One alone, what is left of a message
 * for example, does not tell.
 */
static bool is_scattered(const struct pd_side *side)
{
	return side->nr > 1 && side->nr * SCATTERED > side->bytes;
}

struct pd_dma_job *pd_dma_job_begin(const struct iov_iter *iter, size_t bytes, unsigned int flags,
				    u8 *rest)
{
	struct pd_dma_job *job;
	struct pd_side *side;
	unsigned long at;
	size_t size;

	size = min3(bytes, pd_next_stretch(iter, &at), (size_t)PD_PINNED_MAX);
	if (size < PD_DMA_MIN || !current->mm)
		return NULL;
	/* Its pages would be pinned for nothing. */
	if (!pd_channels_any()) {
		pd_stat_inc(PD_STAT_DMA_NO_CHANNEL);
		return NULL;
	}
	job = kmem_cache_alloc(jobs, GFP_KERNEL | __GFP_NOWARN);
	if (!job)
		return NULL;
	if (!pd_pin(&job->pinned, at, size, flags)) {
		kmem_cache_free(jobs, job);
		return NULL;
	}
	/* Little of it may be there. */
	if (job->pinned.window.size < PD_DMA_MIN) {
		pd_dma_job_end(job, 0);
		return NULL;
	}
	pd_copy_init(&job->copy);
	side = flags & FOLL_WRITE ? &job->copy.target : &job->copy.source;
	pd_side_add_window(side, &job->pinned.window, 0, job->pinned.window.size);
	if (is_scattered(side) && bytes < READ_ONCE(pd_dma_from[numa_node_id()].pages)) {
		WRITE_ONCE(*rest, PD_DMA_REST);
		pd_dma_job_end(job, 0);
		return NULL;
	}
	return job;
}

void pd_dma_job_end(struct pd_dma_job *job, u32 bytes)
{
	pd_unpin(&job->pinned, bytes);
	kmem_cache_free(jobs, job);
}

u32 pd_engine_dma_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes,
			u8 *rest)
{
	const void *from = frame->data + offset;
	struct pd_dma_job *job;
	struct pd_copy *copy;

	job = pd_dma_job_begin(to, bytes, FOLL_WRITE, rest);
	if (!job)
		return 0;
	copy = &job->copy;
	copy->bytes = min(bytes, job->pinned.window.size);
	bytes = copy->bytes;
	pd_side_add(&copy->source, virt_to_page(from), offset_in_page(from), bytes);
	pd_cmdq_begin(copy);
	pd_stat_add(PD_STAT_DMA_DRAINED_BYTES, pd_cmdq_end(copy));
	pd_dma_job_end(job, bytes);
	iov_iter_advance(to, bytes);
	return bytes;
}
