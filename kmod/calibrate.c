// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "calibrate.h"
#include "channel.h"
#include "cmdq.h"
#include "engine.h"
#include "stats.h"

LIST_HEAD(pd_calibrations);

#define SMALLEST (4 << 10)
#define LARGEST (SMALLEST << (PD_CALIBRATED_SIZES - 1))
#define BLOCKS (LARGEST / PD_FRAME_LARGE)
/* Of each size this much is copied in a row, at least three times, and the best of so many rows
 * counts: others run here, too.
 */
#define ROW_BYTES (8 << 20)
#define ROWS 3

/* Where is copied from and to. */
struct bench {
	void __user *from;
	struct page *to[BLOCKS]; /* of PD_FRAME_LARGE bytes, as frames are */
	int node;
};

enum way { BY_CPU, BY_ONE, BY_ALL };

static int copy_by_cpu(struct bench *bench, u32 bytes)
{
	u32 at, part;

	for (at = 0; at < bytes; at += part) {
		part = min(bytes - at, PD_FRAME_LARGE);
		if (copy_from_user(page_address(bench->to[at / PD_FRAME_LARGE]), bench->from + at,
				   part))
			return -EFAULT;
	}
	return 0;
}

/* One that is active, of the node if possible. NULL: none. */
static struct pd_channel *first_channel(int node)
{
	struct pd_channel *channel, *found = NULL;

	mutex_lock(&pd_channels_mutex);
	list_for_each_entry(channel, &pd_channels, list) {
		if (READ_ONCE(channel->state) != PD_CHANNEL_ACTIVE)
			continue;
		if (!found || channel->node == node)
			found = channel;
		if (found->node == node)
			break;
	}
	mutex_unlock(&pd_channels_mutex);
	return found;
}

/* As one segment of send_dma.c. */
static struct pd_dma_job *begin(struct bench *bench, struct pd_channel *channel, u32 at, u32 left)
{
	struct pd_dma_job *job;
	struct iov_iter iter;
	u32 part, done;

	iov_iter_ubuf(&iter, ITER_SOURCE, bench->from + at, left);
	job = pd_dma_job_begin(&iter, left, false);
	if (!job)
		return NULL;
	job->copy.bytes = job->pinned.window.size;
	for (done = 0; done < job->copy.bytes; done += part) {
		part = min(job->copy.bytes - done, PD_FRAME_LARGE);
		pd_side_add(&job->copy.target, bench->to[(at + done) / PD_FRAME_LARGE], 0, part);
	}
	pd_side_add_window(&job->copy.source, &job->pinned.window, 0, job->copy.bytes);
	if (channel)
		pd_cmdq_begin_on(&job->copy, channel);
	else
		pd_cmdq_begin(&job->copy);
	return job;
}

/* NULL: by all channels of this core. */
static int copy_by_dma(struct bench *bench, struct pd_channel *channel, u32 bytes)
{
	struct pd_dma_job *jobs[PD_DMA_IN_FLIGHT], *job;
	unsigned int begun = 0, ended = 0;
	u32 at = 0;
	int err = 0;

	for (;;) {
		if (!err && at < bytes && begun - ended < PD_DMA_IN_FLIGHT) {
			job = begin(bench, channel, at, bytes - at);
			if (!job) {
				err = -ENOMEM;
				continue;
			}
			at += job->copy.bytes;
			jobs[begun++ % PD_DMA_IN_FLIGHT] = job;
			continue;
		}
		if (begun == ended)
			return err;
		job = jobs[ended++ % PD_DMA_IN_FLIGHT];
		pd_cmdq_end(&job->copy);
		pd_dma_job_end(job, 0);
	}
}

static int copy_once(struct bench *bench, enum way way, u32 bytes)
{
	struct pd_channel *channel;

	if (way == BY_CPU)
		return copy_by_cpu(bench, bytes);
	if (way == BY_ALL)
		return copy_by_dma(bench, NULL, bytes);
	channel = first_channel(bench->node);
	return channel ? copy_by_dma(bench, channel, bytes) : -ENODEV;
}

/* ns for one copy of @bytes, which has been made before. */
static int measure(struct bench *bench, enum way way, u32 bytes, u64 *ns)
{
	unsigned int copies = max_t(u32, ROW_BYTES / bytes, 3), row, i;
	u64 begin, took;
	int err;

	*ns = U64_MAX;
	err = copy_once(bench, way, bytes);
	for (row = 0; !err && row < ROWS; row++) {
		begin = ktime_get_ns();
		for (i = 0; !err && i < copies; i++)
			err = copy_once(bench, way, bytes);
		took = div_u64(ktime_get_ns() - begin, copies);
		*ns = min(*ns, took);
		cond_resched();
		if (signal_pending(current))
			err = -EINTR;
	}
	return err;
}

static int measure_all(struct bench *bench, struct pd_calibration *calibration)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < PD_CALIBRATED_SIZES; i++) {
		u32 bytes = SMALLEST << i;

		calibration->rows[i].bytes = bytes;
		err = measure(bench, BY_CPU, bytes, &calibration->rows[i].cpu_ns)	  ?:
			      measure(bench, BY_ONE, bytes, &calibration->rows[i].one_ns) ?:
			      measure(bench, BY_ALL, bytes, &calibration->rows[i].all_ns);
	}
	return err;
}

static void free_blocks(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < BLOCKS; i++)
		if (bench->to[i])
			__free_pages(bench->to[i], get_order(PD_FRAME_LARGE));
}

static int allocate_blocks(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < BLOCKS; i++) {
		bench->to[i] = alloc_pages_node(bench->node, GFP_KERNEL | __GFP_COMP | __GFP_NOWARN,
						get_order(PD_FRAME_LARGE));
		if (!bench->to[i])
			return -ENOMEM;
	}
	return 0;
}

static void forget(int node)
{
	struct pd_calibration *calibration, *next;

	list_for_each_entry_safe(calibration, next, &pd_calibrations, list) {
		if (node != NUMA_NO_NODE && calibration->node != node)
			continue;
		list_del(&calibration->list);
		kfree(calibration);
	}
}

/* On a CPU of @node, with memory of it. */
static int calibrate_node(int node)
{
	struct pd_calibration *calibration = kzalloc(sizeof(*calibration), GFP_KERNEL);
	struct bench *bench = kzalloc(sizeof(*bench), GFP_KERNEL);
	unsigned long from;
	int err = -ENOMEM;

	if (!calibration || !bench)
		goto out;
	calibration->node = node;
	bench->node = node;
	from = vm_mmap(NULL, 0, LARGEST, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0);
	if (IS_ERR_VALUE(from)) {
		err = (int)from;
		goto out;
	}
	bench->from = (void __user *)from;
	/* Pages of its own, not that of zeros. */
	if (clear_user(bench->from, LARGEST))
		err = -EFAULT;
	else
		err = allocate_blocks(bench) ?: measure_all(bench, calibration);
	free_blocks(bench);
	vm_munmap(from, LARGEST);
	if (!err) {
		forget(node);
		list_add_tail(&calibration->list, &pd_calibrations);
		calibration = NULL;
	}
out:
	kfree(bench);
	kfree(calibration);
	return err;
}

int pd_calibrate(void)
{
	cpumask_var_t before;
	int node, err = 0;

	if (!current->mm)
		return -EINVAL;
	if (!zalloc_cpumask_var(&before, GFP_KERNEL))
		return -ENOMEM;
	cpumask_copy(before, current->cpus_ptr);
	for_each_node_state(node, N_CPU)
	{
		/* A node whose CPUs this task may not use is left out. */
		if (set_cpus_allowed_ptr(current, cpumask_of_node(node)))
			continue;
		err = calibrate_node(node);
		if (err)
			break;
	}
	set_cpus_allowed_ptr(current, before);
	free_cpumask_var(before);
	return err;
}

u32 pd_calibrated_from(int node)
{
	struct pd_calibration *calibration;
	u32 from = PD_DMA_NEVER;
	int i;

	list_for_each_entry(calibration, &pd_calibrations, list) {
		if (calibration->node != node)
			continue;
		for (i = PD_CALIBRATED_SIZES - 1; i >= 0; i--) {
			if (calibration->rows[i].all_ns > calibration->rows[i].cpu_ns)
				break;
			from = calibration->rows[i].bytes;
		}
	}
	return from;
}

void pd_calibrate_exit(void)
{
	forget(NUMA_NO_NODE);
}
