// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "calibrate.h"
#include "compat.h"
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
#define ROW_BYTES (4 << 20)
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
	u8 unused;

	iov_iter_ubuf(&iter, ITER_SOURCE, bench->from + at, left);
	job = pd_dma_job_begin(&iter, SIZE_MAX, 0, &unused);
	if (!job)
		return NULL;
	job->copy.bytes = job->pinned.window.size;
	for (done = 0; done < job->copy.bytes; done += part) {
		part = min(job->copy.bytes - done, PD_FRAME_LARGE);
		pd_side_add(&job->copy.target, bench->to[(at + done) / PD_FRAME_LARGE], 0, part);
	}
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
				err = pd_channels_any() ? -ENOMEM : -ENODEV;
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

static int measure_all(struct bench *bench, struct pd_calibrated *rows)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < PD_CALIBRATED_SIZES; i++) {
		u32 bytes = SMALLEST << i;

		rows[i].bytes = bytes;
		err = measure(bench, BY_CPU, bytes, &rows[i].cpu_ns)	     ?:
			      measure(bench, BY_ONE, bytes, &rows[i].one_ns) ?:
			      measure(bench, BY_ALL, bytes, &rows[i].all_ns);
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

/* All of @bytes from @from on, in pages of the ordinary size, no two of them adjacent, or in
 * huge ones where the kernel has them.
 */
static int fill_memory(unsigned long from, u32 bytes, bool is_huge)
{
	unsigned long at, step = is_huge ? PAGE_SIZE : 2 * PAGE_SIZE, first;
	struct vm_area_struct *vma;
	int err = -EFAULT;

	mmap_write_lock(current->mm);
	vma = find_vma(current->mm, from);
	if (vma && vma->vm_start <= from) {
		pd_vm_flags_set(vma, is_huge ? VM_HUGEPAGE : VM_NOHUGEPAGE);
		err = 0;
	}
	mmap_write_unlock(current->mm);
	/* The allocator may give one page after the other. */
	for (first = 0; first < step; first += PAGE_SIZE)
		for (at = first; !err && at < bytes; at += step)
			err = clear_user((void __user *)(from + at), PAGE_SIZE) ? -EFAULT : 0;
	return err;
}

/* On a CPU of @node, with memory of it. */
static int measure_kind(struct bench *bench, struct pd_calibrated *rows, bool is_huge)
{
	/* Room to begin with a huge page. */
	unsigned long map, from;
	int err;

	map = vm_mmap(NULL, 0, 2 * LARGEST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(map))
		return (int)map;
	from = ALIGN(map, LARGEST);
	bench->from = (void __user *)from;
	err = fill_memory(from, LARGEST, is_huge) ?: measure_all(bench, rows);
	vm_munmap(map, 2 * LARGEST);
	return err;
}

static int calibrate_node(int node)
{
	struct pd_calibration *calibration = kzalloc(sizeof(*calibration), GFP_KERNEL);
	struct bench *bench = kzalloc(sizeof(*bench), GFP_KERNEL);
	int err = -ENOMEM;

	if (!calibration || !bench)
		goto out;
	calibration->node = node;
	bench->node = node;
	err = allocate_blocks(bench)				     ?:
		      measure_kind(bench, calibration->pages, false) ?:
		      measure_kind(bench, calibration->huge, true);
	free_blocks(bench);
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
	for_each_node_state(node, N_CPU) {
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

/* From which size on DMA is never slower. Between two that were measured the times are taken to be
 * on straight lines.
 */
static u32 from_of(const struct pd_calibrated *rows)
{
	const struct pd_calibrated *row;
	u64 slower, faster;

	for (row = rows + PD_CALIBRATED_SIZES - 1; row >= rows; row--)
		if (row->all_ns > row->cpu_ns)
			break;
	if (row < rows)
		return rows->bytes;
	if (row == rows + PD_CALIBRATED_SIZES - 1)
		return PD_DMA_NEVER;
	slower = row[0].all_ns - row[0].cpu_ns;
	faster = row[1].cpu_ns - row[1].all_ns;
	return row[0].bytes + div64_u64((row[1].bytes - row[0].bytes) * slower, slower + faster);
}

struct pd_dma_from pd_calibrated_from(int node)
{
	struct pd_calibration *calibration;

	list_for_each_entry(calibration, &pd_calibrations, list)
		if (calibration->node == node)
			return (struct pd_dma_from){ from_of(calibration->pages),
						     from_of(calibration->huge) };
	return (struct pd_dma_from){ PD_DMA_NEVER, PD_DMA_NEVER };
}

void pd_calibrate_exit(void)
{
	forget(NUMA_NO_NODE);
}
