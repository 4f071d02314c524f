// SPDX-License-Identifier: GPL-2.0-only
#include <linux/delay.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "pd_test_dma.h"

/* Nothing of @desc is done any more, and nobody told. Under the lock. */
static void drop(struct pd_test_chan *chan, struct pd_test_desc *desc)
{
	lockdep_assert_held(&chan->lock);
	if (desc->told) {
		list_del(&desc->node);
		kfree(desc);
		return;
	}
	chan->failed[desc->tx.cookie % PD_TEST_FAILED] = desc->tx.cookie;
	dma_descriptor_unmap(&desc->tx);
	list_move_tail(&desc->node, &chan->free);
}

/* Everything that was submitted ends here, and how much had not been copied is returned. What is
 * being copied may go on for a moment: settle() waits for it. Under the lock.
 */
static unsigned int terminate(struct pd_test_chan *chan)
{
	struct list_head *const waiting[] = { &chan->submitted, &chan->queued, &chan->lost };
	struct pd_test_desc *desc, *next;
	unsigned int i, dropped = 0, late = 0;

	lockdep_assert_held(&chan->lock);
	for (i = 0; i < ARRAY_SIZE(waiting); i++) {
		list_for_each_entry_safe(desc, next, waiting[i], node) {
			late += desc->fault == PD_TEST_BE_LATE;
			dropped += !desc->told;
			drop(chan, desc);
		}
	}
	if (chan->copying) {
		desc = chan->copying;
		dropped += !desc->stopped && !desc->told;
		desc->result = DMA_TRANS_NOERROR;
		WRITE_ONCE(desc->stopped, true);
		if (!desc->told)
			chan->failed[desc->tx.cookie % PD_TEST_FAILED] = desc->tx.cookie;
	}
	list_for_each_entry_safe(desc, next, &chan->done, node) {
		dma_descriptor_unmap(&desc->tx);
		list_move_tail(&desc->node, &chan->free);
	}
	chan->generation++;
	chan->engine_free = 0;
	chan->last_due = 0;
	pd_test_count(PD_TEST_TERMINATED, dropped);
	pd_test_count(PD_TEST_LATE_TERMINATED, late);
	return dropped;
}

/* Waits until nothing is copied any more of what was submitted before @generation, nor a callback
 * of that running. May sleep.
 */
static void settle(struct pd_test_chan *chan, u64 generation)
{
	flush_work(&chan->work);
	tasklet_kill(&chan->tasklet);
	spin_lock_irq(&chan->lock);
	chan->synced = max(chan->synced, generation);
	/* It may have been asked for while it was forbidden. */
	if (!list_empty(&chan->done))
		tasklet_schedule(&chan->tasklet);
	spin_unlock_irq(&chan->lock);
}

static int terminate_all(struct dma_chan *dma_chan)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	unsigned long flags;

	if (pd_test_knob(PD_TEST_UNWILLING)) {
		pd_test_count(PD_TEST_UNWILLING_COUNT, 1);
		return -EBUSY;
	}
	spin_lock_irqsave(&chan->lock, flags);
	terminate(chan);
	spin_unlock_irqrestore(&chan->lock, flags);
	return 0;
}

static void synchronize(struct dma_chan *dma_chan)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	u64 generation;

	spin_lock_irq(&chan->lock);
	generation = chan->generation;
	spin_unlock_irq(&chan->lock);
	settle(chan, generation);
}

/* What a client must have asked for before: loud, as hardware would go wrong silently. */
static bool is_violation(struct pd_test_chan *chan, dma_addr_t dst, dma_addr_t src, size_t len)
{
	const char *what = NULL;

	if (!len || len > pd_test_max_seg)
		what = "length";
	else if (!IS_ALIGNED(dst | src | len, pd_test_copy_align))
		what = "alignment";
	else if (!pfn_valid(PHYS_PFN(dst)) || !pfn_valid(PHYS_PFN(dst + len - 1)) ||
		 !pfn_valid(PHYS_PFN(src)) || !pfn_valid(PHYS_PFN(src + len - 1)))
		what = "address";
	else if (dst < src + len && src < dst + len)
		what = "overlap";
	if (!what)
		return false;
	pd_test_count(PD_TEST_VIOLATIONS, 1);
	WARN_RATELIMIT(1,
		       PD_TEST_NAME ": channel %d was given a wrong %s: %zu bytes, %pad to %pad\n",
		       chan->index, what, len, &src, &dst);
	return true;
}

static dma_cookie_t submit(struct dma_async_tx_descriptor *tx)
{
	struct pd_test_desc *desc = pd_test_desc_of(tx);
	struct pd_test_chan *chan = pd_test_chan_of(tx->chan);
	dma_cookie_t cookie;
	unsigned long flags;

	spin_lock_irqsave(&chan->lock, flags);
	cookie = tx->chan->cookie == INT_MAX ? DMA_MIN_COOKIE : tx->chan->cookie + 1;
	tx->cookie = cookie;
	tx->chan->cookie = cookie;
	desc->generation = chan->generation;
	list_add_tail(&desc->node, &chan->submitted);
	spin_unlock_irqrestore(&chan->lock, flags);
	pd_test_count(PD_TEST_SUBMITTED, 1);
	return cookie;
}

static struct dma_async_tx_descriptor *prep_memcpy(struct dma_chan *dma_chan, dma_addr_t dst,
						   dma_addr_t src, size_t len,
						   unsigned long prep_flags)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	struct pd_test_desc *desc = NULL;
	unsigned long flags;

	if (is_violation(chan, dst, src, len))
		return NULL;
	if (pd_test_knob_hits(PD_TEST_NULL_EVERY, chan)) {
		pd_test_count(PD_TEST_NULLS, 1);
		return NULL;
	}
	spin_lock_irqsave(&chan->lock, flags);
	if (!chan->gone)
		desc = list_first_entry_or_null(&chan->free, struct pd_test_desc, node);
	if (desc)
		list_del(&desc->node);
	else if (!list_empty(&chan->done))
		tasklet_schedule(&chan->tasklet);
	spin_unlock_irqrestore(&chan->lock, flags);
	if (!desc) {
		pd_test_count(PD_TEST_FULL, !chan->gone);
		return NULL;
	}
	memset(desc, 0, sizeof(*desc));
	dma_async_tx_descriptor_init(&desc->tx, dma_chan);
	desc->tx.flags = prep_flags;
	desc->tx.cookie = -EBUSY;
	desc->tx.tx_submit = submit;
	desc->dst = dst;
	desc->src = src;
	desc->len = len;
	return &desc->tx;
}

/* When the hardware will have copied it: bytes pass one after the other, latencies overlap, and
 * nothing is done before what came before it. Under the lock.
 */
static ktime_t due_time(struct pd_test_chan *chan, const struct pd_test_desc *desc)
{
	u64 pass = (u64)desc->len * max(pd_test_knob(PD_TEST_NS_PER_KIB), 0) / SZ_1K;
	int us = max(pd_test_knob(PD_TEST_LATENCY_US), 0);
	ktime_t now = ktime_get();
	int odd_us = 0;

	if (chan->index % 2)
		odd_us = max(pd_test_knob(PD_TEST_LATENCY_ODD_US), 0);
	pd_test_count(PD_TEST_ODD, odd_us > 0);
	chan->engine_free = ktime_add_ns(max(now, chan->engine_free), pass);
	now = ktime_add_us(ktime_add_us(chan->engine_free, us), odd_us);
	if (desc->fault == PD_TEST_BE_LATE)
		now = ktime_add_us(now, max(pd_test_knob(PD_TEST_LATE_US), 0));
	chan->last_due = max(chan->last_due, now);
	return chan->last_due;
}

static enum pd_test_fault choose_fault(struct pd_test_chan *chan)
{
	bool lose = pd_test_knob_hits(PD_TEST_LOSE_EVERY, chan);
	bool late = pd_test_knob_hits(PD_TEST_LATE_EVERY, chan);
	bool early = pd_test_knob_hits(PD_TEST_EARLY_EVERY, chan);
	bool error = pd_test_knob_hits(PD_TEST_ERROR_EVERY, chan);

	if (lose)
		return PD_TEST_LOSE;
	if (late)
		return PD_TEST_BE_LATE;
	if (early)
		return PD_TEST_BE_EARLY;
	return error ? PD_TEST_ERROR : PD_TEST_NO_FAULT;
}

/* The device has gone: those on @list get no further. Under the lock. */
static void abort_list(struct pd_test_chan *chan, struct list_head *list)
{
	bool silent = pd_test_knob(PD_TEST_SILENT_REMOVAL) > 0;
	struct pd_test_desc *desc, *next;

	lockdep_assert_held(&chan->lock);
	list_for_each_entry_safe(desc, next, list, node) {
		/* cppcheck-suppress uninitvar */
		pd_test_count(PD_TEST_ABORTED, !desc->told);
		if (silent || desc->told) {
			drop(chan, desc);
			continue;
		}
		list_del(&desc->node);
		pd_test_copy_fail(chan, desc, DMA_TRANS_ABORTED);
	}
}

static void issue_pending(struct dma_chan *dma_chan)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	struct pd_test_desc *desc;
	unsigned long flags;
	bool any;

	spin_lock_irqsave(&chan->lock, flags);
	if (chan->gone)
		abort_list(chan, &chan->submitted);
	any = !list_empty(&chan->submitted);
	list_for_each_entry(desc, &chan->submitted, node) {
		desc->fault = choose_fault(chan);
		/* cppcheck-suppress uninitvar */
		desc->due = due_time(chan, desc);
		pd_test_count(PD_TEST_STUCK, pd_test_knob(PD_TEST_STUCK_CHANNEL) == chan->index);
	}
	list_splice_tail_init(&chan->submitted, &chan->queued);
	if (any) {
		pd_test_count(PD_TEST_DOORBELLS, 1);
		queue_work(pd_test_workqueue, &chan->work);
	}
	spin_unlock_irqrestore(&chan->lock, flags);
}

static bool is_lost(const struct pd_test_chan *chan, dma_cookie_t cookie)
{
	const struct pd_test_desc *desc;

	list_for_each_entry(desc, &chan->lost, node) {
		/* cppcheck-suppress uninitvar */
		if (desc->tx.cookie == cookie)
			return true;
	}
	return false;
}

static enum dma_status tx_status(struct dma_chan *dma_chan, dma_cookie_t cookie,
				 struct dma_tx_state *state)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	enum dma_status status;
	unsigned long flags;

	spin_lock_irqsave(&chan->lock, flags);
	status = dma_async_is_complete(cookie, dma_chan->completed_cookie, dma_chan->cookie);
	dma_set_tx_state(state, dma_chan->completed_cookie, dma_chan->cookie, 0);
	/* Those that came later may have ended. */
	if (is_lost(chan, cookie))
		status = DMA_IN_PROGRESS;
	else if (cookie > 0 && chan->failed[cookie % PD_TEST_FAILED] == cookie)
		status = DMA_ERROR;
	/* Whoever polls has not asked for an interrupt. */
	if (!list_empty(&chan->done))
		tasklet_schedule(&chan->tasklet);
	spin_unlock_irqrestore(&chan->lock, flags);
	return status;
}

static int alloc_chan_resources(struct dma_chan *dma_chan)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	struct pd_test_desc *descs;
	unsigned int i;

	descs = kcalloc(pd_test_depth, sizeof(*descs), GFP_KERNEL);
	if (!descs)
		return -ENOMEM;
	spin_lock_irq(&chan->lock);
	if (chan->gone) {
		spin_unlock_irq(&chan->lock);
		kfree(descs);
		return -ENODEV;
	}
	chan->descs = descs;
	for (i = 0; i < pd_test_depth; i++)
		list_add_tail(&descs[i].node, &chan->free);
	memset(chan->failed, 0, sizeof(chan->failed));
	dma_chan->cookie = DMA_MIN_COOKIE;
	dma_chan->completed_cookie = DMA_MIN_COOKIE;
	spin_unlock_irq(&chan->lock);
	return pd_test_depth;
}

/* A client that has not waited for the end of its copies is counted, not believed: what is in
 * flight is stopped before anything is freed. May sleep.
 */
static void free_chan_resources(struct dma_chan *dma_chan)
{
	struct pd_test_chan *chan = pd_test_chan_of(dma_chan);
	struct pd_test_desc *desc;
	unsigned int kept;

	/* All goes on meanwhile. */
	WRITE_ONCE(chan->releasing, true);
	fsleep(max(pd_test_knob(PD_TEST_RELEASE_US), 0));
	spin_lock_irq(&chan->lock);
	WRITE_ONCE(chan->releasing, false);
	pd_test_count(PD_TEST_FREED_BUSY, terminate(chan));
	spin_unlock_irq(&chan->lock);
	synchronize(dma_chan);
	kept = pd_test_depth;
	spin_lock_irq(&chan->lock);
	list_for_each_entry(desc, &chan->free, node)
		kept--;
	INIT_LIST_HEAD(&chan->free);
	desc = chan->descs;
	chan->descs = NULL;
	spin_unlock_irq(&chan->lock);
	pd_test_count(PD_TEST_UNSUBMITTED, kept);
	kfree(desc);
}

void pd_test_channel_ops(struct dma_device *dma, bool can_terminate)
{
	dma_cap_set(DMA_MEMCPY, dma->cap_mask);
	dma->directions = BIT(DMA_MEM_TO_MEM);
	dma->residue_granularity = DMA_RESIDUE_GRANULARITY_DESCRIPTOR;
	dma->device_alloc_chan_resources = alloc_chan_resources;
	dma->device_free_chan_resources = free_chan_resources;
	dma->device_prep_dma_memcpy = prep_memcpy;
	dma->device_issue_pending = issue_pending;
	dma->device_tx_status = tx_status;
	dma->device_terminate_all = can_terminate ? terminate_all : NULL;
	dma->device_synchronize = synchronize;
}

void pd_test_channel_init(struct pd_test_chan *chan, struct pd_test_device *device, int index)
{
	chan->device = device;
	chan->index = index;
	spin_lock_init(&chan->lock);
	INIT_LIST_HEAD(&chan->free);
	INIT_LIST_HEAD(&chan->submitted);
	INIT_LIST_HEAD(&chan->queued);
	INIT_LIST_HEAD(&chan->lost);
	INIT_LIST_HEAD(&chan->done);
	INIT_WORK(&chan->work, pd_test_copy_run);
	hrtimer_init(&chan->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	chan->timer.function = pd_test_copy_due;
	tasklet_setup(&chan->tasklet, pd_test_copy_interrupt);
	chan->chan.device = &device->dma;
	list_add_tail(&chan->chan.device_node, &device->dma.channels);
}

/* Nothing of it runs any more: nobody has the channel, and its device has gone. May sleep. */
void pd_test_channel_exit(struct pd_test_chan *chan)
{
	cancel_work_sync(&chan->work);
	tasklet_kill(&chan->tasklet);
}

/* The hardware is pulled out: from here on it copies nothing, and what was in flight is aborted.
 * Its client may go on to call all of the above. May sleep.
 */
void pd_test_channel_remove(struct pd_test_chan *chan)
{
	u64 generation;

	spin_lock_irq(&chan->lock);
	chan->gone = true;
	generation = ++chan->generation;
	abort_list(chan, &chan->submitted);
	abort_list(chan, &chan->queued);
	abort_list(chan, &chan->lost);
	if (chan->copying && !chan->copying->stopped) {
		chan->copying->result = DMA_TRANS_ABORTED;
		WRITE_ONCE(chan->copying->stopped, true);
		pd_test_count(PD_TEST_ABORTED, 1);
	}
	spin_unlock_irq(&chan->lock);
	/* Nobody sets the timer any more, and what it starts finds nothing to do. */
	hrtimer_cancel(&chan->timer);
	settle(chan, generation);
}

void pd_test_channel_show(struct pd_test_chan *chan, struct seq_file *seq)
{
	spin_lock_irq(&chan->lock);
	seq_printf(seq, "%d %s submitted %zu queued %zu lost %zu done %zu free %zu\n", chan->index,
		   chan->gone  ? "gone" :
		   chan->descs ? "used" :
				 "unused",
		   list_count_nodes(&chan->submitted), list_count_nodes(&chan->queued),
		   list_count_nodes(&chan->lost), list_count_nodes(&chan->done),
		   list_count_nodes(&chan->free));
	spin_unlock_irq(&chan->lock);
}
