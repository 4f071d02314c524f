// SPDX-License-Identifier: GPL-2.0-only
#include <linux/dma-direct.h>
#include <linux/slab.h>

#include "pd_test_dma.h"

#define GARBAGE 0x5a
#define POISON 0xa5

/* So much is copied before it is looked whether the copy was stopped. */
#define PIECE SZ_16K
/* So many copies are made before others may have the processor. */
#define BATCH 16

/* The addresses are physical ones: device.c sees to it. */
static void *address_of(const struct pd_test_chan *chan, dma_addr_t address)
{
	return phys_to_virt(dma_to_phys(chan->device->dma.dev, address));
}

/* Nothing may be written any more for what was submitted before dmaengine_synchronize() ended
 * after a termination. That it never comes to this is what this provider promises its tests.
 */
static bool is_too_late(struct pd_test_chan *chan, const struct pd_test_desc *desc)
{
	if (likely(desc->generation >= READ_ONCE(chan->synced)))
		return false;
	pd_test_count(PD_TEST_LATE_WRITES, 1);
	WARN_ONCE(1, PD_TEST_NAME ": channel %d would write after it was terminated\n",
		  chan->index);
	return true;
}

/* Process context, without the lock: as hardware, it may overlap with a termination. */
static void copy(struct pd_test_chan *chan, struct pd_test_desc *desc)
{
	u8 *dst = address_of(chan, desc->dst);
	const u8 *src = address_of(chan, desc->src);
	bool poison = desc->fault == PD_TEST_BE_LATE && pd_test_knob(PD_TEST_LATE_POISON) > 0;
	size_t len = desc->fault == PD_TEST_ERROR ? (desc->len + 1) / 2 : desc->len;
	size_t at, part;

	for (at = 0; at < len; at += part) {
		part = min_t(size_t, len - at, PIECE);
		if (READ_ONCE(desc->stopped) || is_too_late(chan, desc))
			return;
		if (poison)
			memset(dst + at, POISON, part);
		else if (desc->fault == PD_TEST_ERROR)
			memset(dst + at, GARBAGE, part);
		else
			memcpy(dst + at, src + at, part);
		/* Seen after it was written: worse, but seen. */
		if (is_too_late(chan, desc))
			return;
	}
	if (desc->fault == PD_TEST_BE_LATE && READ_ONCE(chan->releasing))
		pd_test_count(PD_TEST_LATE_RELEASED, 1);
	if (poison)
		pd_test_count(PD_TEST_POISONED, 1);
	else if (desc->fault != PD_TEST_ERROR)
		pd_test_count(PD_TEST_BYTES, desc->len);
}

static void interrupt(struct pd_test_chan *chan)
{
	lockdep_assert_held(&chan->lock);
	pd_test_count(PD_TEST_INTERRUPTS, 1);
	tasklet_schedule(&chan->tasklet);
}

/* It ends with @result, which its callback and its status will tell. Under the lock. */
void pd_test_copy_fail(struct pd_test_chan *chan, struct pd_test_desc *desc,
		       enum dmaengine_tx_result result)
{
	lockdep_assert_held(&chan->lock);
	desc->result = result;
	chan->failed[desc->tx.cookie % PD_TEST_FAILED] = desc->tx.cookie;
	list_add_tail(&desc->node, &chan->done);
	interrupt(chan);
}

static void complete_copy(struct pd_test_chan *chan, struct pd_test_desc *desc);

/* Its client is told that @desc has ended; what is to be copied comes last, and late. */
static void end_early(struct pd_test_chan *chan, struct pd_test_desc *desc)
{
	struct pd_test_desc *rest = kmemdup(desc, sizeof(*desc), GFP_ATOMIC);

	lockdep_assert_held(&chan->lock);
	list_del(&desc->node);
	desc->fault = PD_TEST_NO_FAULT;
	complete_copy(chan, desc);
	if (!rest)
		return;
	rest->fault = PD_TEST_BE_LATE;
	rest->told = true;
	chan->last_due = max(chan->last_due,
			     ktime_add_us(ktime_get(), max(pd_test_knob(PD_TEST_LATE_US), 0)));
	rest->due = chan->last_due;
	list_add_tail(&rest->node, &chan->queued);
	pd_test_count(PD_TEST_EARLY, 1);
}

/* The next one whose time has come; it is then the one that the channel copies. */
static struct pd_test_desc *next_due(struct pd_test_chan *chan)
{
	struct pd_test_desc *desc;

	lockdep_assert_held(&chan->lock);
	while (!chan->gone && pd_test_knob(PD_TEST_STUCK_CHANNEL) != chan->index) {
		desc = list_first_entry_or_null(&chan->queued, struct pd_test_desc, node);
		if (!desc)
			break;
		if (ktime_after(desc->due, ktime_get())) {
			hrtimer_start(&chan->timer, desc->due, HRTIMER_MODE_ABS);
			break;
		}
		if (desc->fault == PD_TEST_LOSE) {
			list_move_tail(&desc->node, &chan->lost);
			pd_test_count(PD_TEST_LOST, 1);
			continue;
		}
		if (desc->fault == PD_TEST_BE_EARLY) {
			end_early(chan, desc);
			continue;
		}
		list_del(&desc->node);
		chan->copying = desc;
		return desc;
	}
	return NULL;
}

static void complete_copy(struct pd_test_chan *chan, struct pd_test_desc *desc)
{
	dma_cookie_t cookie = desc->tx.cookie;

	lockdep_assert_held(&chan->lock);
	chan->copying = NULL;
	if (desc->told) {
		kfree(desc);
		return;
	}
	if (desc->stopped) {
		if (desc->result != DMA_TRANS_NOERROR &&
		    pd_test_knob(PD_TEST_SILENT_REMOVAL) <= 0) {
			pd_test_copy_fail(chan, desc, desc->result);
			return;
		}
		dma_descriptor_unmap(&desc->tx);
		list_add_tail(&desc->node, &chan->free);
		return;
	}
	chan->chan.completed_cookie = cookie;
	if (desc->fault == PD_TEST_ERROR) {
		pd_test_count(PD_TEST_ERRORS, 1);
		pd_test_copy_fail(chan, desc, DMA_TRANS_WRITE_FAILED);
		return;
	}
	if (desc->fault == PD_TEST_BE_LATE)
		pd_test_count(PD_TEST_LATE, 1);
	pd_test_count(PD_TEST_COMPLETED, 1);
	list_add_tail(&desc->node, &chan->done);
	/* Others wait for the next interrupt, or until somebody asks for the status. */
	if (desc->tx.flags & DMA_PREP_INTERRUPT)
		interrupt(chan);
}

/* One at a time for each channel. */
void pd_test_copy_run(struct work_struct *work)
{
	struct pd_test_chan *chan = container_of(work, struct pd_test_chan, work);
	struct pd_test_desc *desc;
	int i;

	for (i = 0; i < BATCH; i++) {
		spin_lock_irq(&chan->lock);
		desc = next_due(chan);
		spin_unlock_irq(&chan->lock);
		if (!desc)
			return;
		copy(chan, desc);
		spin_lock_irq(&chan->lock);
		complete_copy(chan, desc);
		spin_unlock_irq(&chan->lock);
	}
	/* So that whoever waits for this to end need not wait for what came later. */
	queue_work(pd_test_workqueue, work);
}

enum hrtimer_restart pd_test_copy_due(struct hrtimer *timer)
{
	struct pd_test_chan *chan = container_of(timer, struct pd_test_chan, timer);

	queue_work(pd_test_workqueue, &chan->work);
	return HRTIMER_NORESTART;
}

/* As the kernel's own providers do it: the result goes to whoever asked for one. */
static void call_back(struct dma_async_tx_descriptor *tx, enum dmaengine_tx_result result)
{
	struct dmaengine_result told = { .result = result };

	if (tx->callback_result)
		tx->callback_result(tx->callback_param, &told);
	else if (tx->callback)
		tx->callback(tx->callback_param);
}

/* The interrupt's lower half: callbacks, in order. They may call anything that may be called in
 * this context, a termination of this channel, too.
 */
void pd_test_copy_interrupt(struct tasklet_struct *tasklet)
{
	struct pd_test_chan *chan = from_tasklet(chan, tasklet, tasklet);
	struct pd_test_desc *desc;

	spin_lock_irq(&chan->lock);
	while (!list_empty(&chan->done)) {
		desc = list_first_entry(&chan->done, struct pd_test_desc, node);
		list_del(&desc->node);
		spin_unlock_irq(&chan->lock);
		dma_descriptor_unmap(&desc->tx);
		call_back(&desc->tx, desc->result);
		dma_run_dependencies(&desc->tx);
		spin_lock_irq(&chan->lock);
		list_add_tail(&desc->node, &chan->free);
	}
	spin_unlock_irq(&chan->lock);
}
