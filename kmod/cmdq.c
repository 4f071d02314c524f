// SPDX-License-Identifier: GPL-2.0-only
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>

#include "channel.h"
#include "cmdq.h"
#include "stats.h"

/* A second: longer than any queue of a channel that works, and shorter than a program's
 * patience.
 */
unsigned int pd_cmdq_timeout_ms = 1000;

/* While a copy does not end, its driver is asked as often whether it has: an interrupt may
 * be lost.
 */
#define LOOKS 8

/* A copy has so many limits, from when it is given to the driver, on a channel that moves: it may
 * have to wait for those of others.
 */
#define LIMITS 4

/* One fault is forgotten after so many copies without one. */
#define STREAK 1024

static unsigned long time_limit(void)
{
	return msecs_to_jiffies(READ_ONCE(pd_cmdq_timeout_ms));
}

/* ---- a copy that does not end ---------------------------------------------------------- */

static void tell_not_stopped(const struct pd_channel *channel, int err)
{
	pr_err_ratelimited("pipedevice: %s (%s) can't be stopped, and its copies wait: error %d\n",
			   channel->name, channel->driver, err);
}

/* Until the driver says that it has stopped, or @late has ended after all: memory that it may still
 * write to is not handed on. True if it has stopped.
 */
static bool terminate(struct pd_channel *channel, struct pd_copy *late)
{
	int err;

	while ((err = dmaengine_terminate_sync(channel->chan)) && !completion_done(&late->done)) {
		tell_not_stopped(channel, err);
		schedule_timeout_uninterruptible(HZ);
	}
	return !err;
}

/* @copy does not end, or has failed on a channel that may not have stopped, or was said to have ended
 * when it had not: stop all that are on it. None is written to after this.
 */
static void stop(struct pd_channel *channel, struct pd_copy *copy, bool is_late)
{
	bool is_stopped = true, is_first, was_active;
	struct pd_copy *other;

	/* It may end while another is being stopped, which may take for ever. */
	while (!mutex_trylock(&channel->stop_mutex)) {
		if (is_late && completion_done(&copy->done))
			return;
		schedule_timeout_uninterruptible(1);
	}
	/* It has ended meanwhile, or with another that was late. */
	if (is_late && completion_done(&copy->done))
		goto out;
	spin_lock_bh(&channel->lock);
	was_active = channel->state == PD_CHANNEL_ACTIVE;
	if (was_active)
		channel->state = PD_CHANNEL_STOPPING;
	is_first = !channel->is_released;
	channel->is_released = channel->stops_by_release;
	spin_unlock_bh(&channel->lock);

	if (!channel->stops_by_release)
		is_stopped = terminate(channel, copy);
	else if (is_first)
		pd_channel_release(channel);

	spin_lock_bh(&channel->lock);
	list_for_each_entry(other, &channel->copies, list) {
		/* One that has nothing with the driver sees the state instead. */
		if (!is_stopped || !atomic_xchg(&other->left, 0))
			continue;
		other->stopped = true;
		complete(&other->done);
	}
	if (is_late) {
		channel->timeouts++;
		pd_stat_inc(PD_STAT_DMA_TIMEOUTS);
	}
	/* Of a fault all copies may be told. */
	if (is_first && (is_late || was_active))
		pd_channel_strike(channel);
	if (channel->state == PD_CHANNEL_STOPPING)
		queue_work(system_unbound_wq, &channel->work);
	spin_unlock_bh(&channel->lock);
out:
	mutex_unlock(&channel->stop_mutex);
}

/* ---- a copy and its channel ---------------------------------------------------------- */

/* A descriptor of the copy @param has ended. From the driver, in softirq as a rule, with
 * our lock held where a driver ends it while it takes it.
 */
static void end_descriptor(void *param, const struct dmaengine_result *result)
{
	struct pd_copy *copy = param;

	if (result && result->result != DMA_TRANS_NOERROR)
		WRITE_ONCE(copy->failed, true);
	atomic_dec(&copy->channel->outstanding);
	atomic_inc(&copy->channel->ended);
	if (atomic_dec_and_test(&copy->left))
		complete(&copy->done);
}

static bool enter(struct pd_copy *copy, struct pd_channel *channel)
{
	bool is_in;

	if (READ_ONCE(channel->state) != PD_CHANNEL_ACTIVE)
		return false;
	spin_lock_bh(&channel->lock);
	is_in = channel->state == PD_CHANNEL_ACTIVE;
	if (is_in) {
		copy->channel = channel;
		atomic_set(&copy->left, 0);
		list_add_tail(&copy->list, &channel->copies);
	}
	spin_unlock_bh(&channel->lock);
	return is_in;
}

static void leave(struct pd_copy *copy)
{
	struct pd_channel *channel = copy->channel;

	spin_lock_bh(&channel->lock);
	list_del(&copy->list);
	spin_unlock_bh(&channel->lock);
	copy->channel = NULL;
}

/* The next channel of @queue that is not out of order. */
static bool enter_one_of(struct pd_copy *copy, struct pd_cmdq *queue)
{
	unsigned int i, next;

	for (i = 0; i < queue->nr; i++) {
		/* Two at once may take the same: that harms nobody. */
		next = READ_ONCE(queue->next);
		if (next >= queue->nr)
			next = 0;
		WRITE_ONCE(queue->next, next + 1);
		if (enter(copy, queue->channels[next]))
			return true;
	}
	return false;
}

static bool enter_any(struct pd_copy *copy)
{
	struct pd_cmdqs *queues;
	bool is_in;

	rcu_read_lock();
	queues = pd_cmdqs();
	is_in = queues && (enter_one_of(copy, &queues->cores[raw_smp_processor_id()]) ||
			   enter_one_of(copy, &queues->all));
	rcu_read_unlock();
	return is_in;
}

static bool map(struct device *dev, struct pd_side *side, enum dma_data_direction direction)
{
	sg_mark_end(side->stretches + side->nr - 1);
	side->mapped = dma_map_sg(dev, side->stretches, side->nr, direction);
	return side->mapped;
}

static bool map_both(struct pd_copy *copy)
{
	struct device *dev = copy->channel->dev;

	if (!map(dev, &copy->source, DMA_TO_DEVICE))
		return false;
	if (map(dev, &copy->target, DMA_FROM_DEVICE))
		return true;
	dma_unmap_sg(dev, copy->source.stretches, copy->source.nr, DMA_TO_DEVICE);
	return false;
}

static void unmap_both(struct pd_copy *copy)
{
	struct device *dev = copy->channel->dev;

	dma_unmap_sg(dev, copy->source.stretches, copy->source.nr, DMA_TO_DEVICE);
	dma_unmap_sg(dev, copy->target.stretches, copy->target.nr, DMA_FROM_DEVICE);
}

/* ---- descriptors --------------------------------------------------------------------- */

/* Where in one side: byte @at of @stretch, as the device sees it. */
struct place {
	struct scatterlist *stretch;
	u32 at;
};

static struct place place_of(struct pd_side *side, u32 at)
{
	struct scatterlist *stretch = side->stretches;

	for (; at >= sg_dma_len(stretch); stretch++)
		at -= sg_dma_len(stretch);
	return (struct place){ stretch, at };
}

static dma_addr_t address_of(const struct place *place)
{
	return sg_dma_address(place->stretch) + place->at;
}

static u32 left_at(const struct place *place)
{
	return sg_dma_len(place->stretch) - place->at;
}

static void advance(struct place *place, u32 bytes)
{
	place->at += bytes;
	if (place->at == sg_dma_len(place->stretch))
		*place = (struct place){ place->stretch + 1, 0 };
}

/* Give one descriptor to the driver. False if it has no room. */
static bool queue_one(struct pd_copy *copy, dma_addr_t to, dma_addr_t from, u32 bytes)
{
	struct pd_channel *channel = copy->channel;
	struct dma_async_tx_descriptor *descriptor;

	/* With an interrupt for each: which is the last that the driver has room for is not known
	 * before, and there are drivers for which the flag is that of the channel. There is one
	 * doorbell for all, and a device may well take one interrupt for several.
	 */
	descriptor = dmaengine_prep_dma_memcpy(channel->chan, to, from, bytes,
					       DMA_CTRL_ACK | DMA_PREP_INTERRUPT);
	if (!descriptor)
		return false;
	/* Of each, as one may fail and the last one not. */
	descriptor->callback_result = end_descriptor;
	descriptor->callback_param = copy;
	atomic_inc(&copy->left);
	atomic_inc(&channel->outstanding);
	copy->cookie = dmaengine_submit(descriptor);
	if (dma_submit_error(copy->cookie)) {
		atomic_dec(&copy->left);
		atomic_dec(&channel->outstanding);
		return false;
	}
	return true;
}

/* Descriptors for what is left of @copy, as many as the driver takes, and one doorbell.
 * copy->done is completed when they have ended.
 */
static void queue_descriptors(struct pd_copy *copy)
{
	struct place to = place_of(&copy->target, copy->queued);
	struct place from = place_of(&copy->source, copy->queued);
	struct pd_channel *channel = copy->channel;
	u32 bytes, before = copy->queued;

	reinit_completion(&copy->done);
	spin_lock_bh(&channel->lock);
	/* Ours, so that it does not come to nought before all are queued. */
	atomic_set(&copy->left, 1);
	if (channel->state != PD_CHANNEL_ACTIVE)
		copy->stopped = true;
	while (!copy->stopped && copy->queued < copy->end) {
		bytes = min3(left_at(&to), left_at(&from), copy->end - copy->queued);
		bytes = min(bytes, channel->max_bytes);
		/* Stretches of odd lengths, or mapped to elsewhere: the rest is the CPU's. */
		if (((address_of(&to) | address_of(&from) | bytes) & channel->align))
			break;
		if (!queue_one(copy, address_of(&to), address_of(&from), bytes)) {
			pd_stat_inc(PD_STAT_DMA_REFUSED);
			channel->depth = atomic_read(&channel->outstanding);
			break;
		}
		copy->queued += bytes;
		if (copy->queued < copy->end) {
			advance(&to, bytes);
			advance(&from, bytes);
		}
	}
	if (copy->queued != before)
		dma_async_issue_pending(channel->chan);
	if (atomic_dec_and_test(&copy->left))
		complete(&copy->done);
	spin_unlock_bh(&channel->lock);
}

static bool is_aligned(const struct pd_copy *copy, dma_addr_t from, dma_addr_t to)
{
	return !((from ^ to) & copy->channel->align);
}

/* What the channel copies: all of it, but for a few bytes where it can only do whole
 * words. False if the sides do not stand alike then.
 */
static bool choose_part(struct pd_copy *copy)
{
	u32 from = copy->source.stretches->offset, align = copy->channel->align;

	copy->begin = -from & align;
	copy->end = copy->bytes;
	if (!is_aligned(copy, from, copy->target.stretches->offset) || copy->begin >= copy->bytes)
		return false;
	copy->end -= (copy->bytes - copy->begin) & align;
	return copy->begin < copy->end;
}

/* Its channel has been entered. */
static bool start(struct pd_copy *copy)
{
	copy->failed = false;
	copy->lied = false;
	copy->stopped = false;
	if (!choose_part(copy))
		goto leave;
	/* Before it is mapped: the device may see other memory than this. */
	pd_copy_mark(copy, copy->begin, copy->end, copy->channel->max_bytes);
	if (!map_both(copy))
		goto leave;
	if (!is_aligned(copy, sg_dma_address(copy->source.stretches),
			sg_dma_address(copy->target.stretches)))
		goto unmap;
	copy->queued = copy->begin;
	copy->copied = copy->begin;
	copy->deadline = jiffies + time_limit();
	copy->extended = 0;
	copy->ended = atomic_read(&copy->channel->ended);
	queue_descriptors(copy);
	return true;

unmap:
	unmap_both(copy);
leave:
	leave(copy);
	return false;
}

bool pd_cmdq_begin(struct pd_copy *copy)
{
	if (enter_any(copy))
		return start(copy);
	pd_stat_inc(PD_STAT_DMA_NO_CHANNEL);
	return false;
}

bool pd_cmdq_begin_on(struct pd_copy *copy, struct pd_channel *channel)
{
	return enter(copy, channel) && start(copy);
}

/* ---- the end --------------------------------------------------------------------------- */

/* Before its deadline? Nor is it too late at once: who waits may have stood still, and the channel
 * with it, as a virtual machine does.
 */
static bool has_ended(struct pd_copy *copy)
{
	struct pd_channel *channel = copy->channel;
	long left = max_t(long, copy->deadline - jiffies, time_limit() / LIMITS);
	int i;

	for (i = 0; i < LOOKS; i++) {
		if (wait_for_completion_timeout(&copy->done, left / LOOKS + 1))
			return true;
		spin_lock_bh(&channel->lock);
		if (!channel->is_released)
			dma_async_is_tx_complete(channel->chan, copy->cookie, NULL, NULL);
		spin_unlock_bh(&channel->lock);
	}
	return try_wait_for_completion(&copy->done);
}

/* On a channel that says so before it stops, as ioatdma does. */
static bool has_failed_in_flight(const struct pd_copy *copy)
{
	return copy->channel->stops_by_release && READ_ONCE(copy->failed);
}

static void wait_for(struct pd_copy *copy)
{
	struct pd_channel *channel = copy->channel;
	int ended;

	while (!has_ended(copy)) {
		ended = atomic_read(&channel->ended);
		/* A channel that moves is not stopped, for a while. */
		if (ended == copy->ended || ++copy->extended == LIMITS ||
		    has_failed_in_flight(copy)) {
			stop(channel, copy, true);
			wait_for_completion(&copy->done);
			break;
		}
		copy->ended = ended;
		copy->deadline = jiffies + time_limit();
	}
	/* It may have ended, so, just before it was stopped. */
	if (has_failed_in_flight(copy))
		stop(channel, copy, false);
}

/* @copy is over, and its channel may go away. */
static void leave_with(struct pd_copy *copy, u32 bytes)
{
	struct pd_channel *channel = copy->channel;

	spin_lock_bh(&channel->lock);
	channel->nr_copies++;
	channel->bytes += bytes;
	channel->errors += copy->failed || copy->lied;
	if (copy->failed) {
		if (!channel->stops_by_release)
			pd_channel_strike(channel);
	} else if (++channel->streak == STREAK) {
		channel->streak = 0;
		channel->strikes -= !!channel->strikes;
	}
	list_del(&copy->list);
	spin_unlock_bh(&channel->lock);
	copy->channel = NULL;
	pd_stat_inc(PD_STAT_DMA_SEGMENTS);
	if (copy->failed || copy->lied)
		pd_stat_inc(PD_STAT_DMA_ERRORS);
	if (copy->failed || copy->lied || copy->stopped)
		pd_stat_inc(PD_STAT_DMA_REDONE);
}

/* @copy has not failed, and something else than its source is there. */
static bool has_lied(struct pd_copy *copy)
{
	struct pd_channel *channel = copy->channel;

	if (copy->copied == copy->begin ||
	    pd_copy_is_written(copy, copy->begin, copy->copied, channel->max_bytes))
		return false;
	/* Memory that the device could not reach is only there after this. */
	dma_sync_sg_for_cpu(channel->dev, copy->target.stretches, copy->target.nr, DMA_FROM_DEVICE);
	if (pd_copy_is_written(copy, copy->begin, copy->copied, channel->max_bytes))
		return false;
	/* It may still be written: not once it has been handed on. If no mark stands that is no
	 * fault of the channel: a program that writes to its buffer can do that, too.
	 */
	if (pd_copy_is_marked(copy, copy->begin, copy->copied, channel->max_bytes))
		stop(channel, copy, false);
	return true;
}

u32 pd_cmdq_end(struct pd_copy *copy)
{
	u32 bytes;

	if (!copy->channel) {
		pd_copy_by_cpu(copy, 0, copy->bytes);
		return 0;
	}
	for (;;) {
		wait_for(copy);
		/* Any of what was queued last may be wrong. Or the driver has no room at all:
		 * others have it, for longer than it takes the CPU.
		 */
		if (copy->failed || copy->stopped || copy->queued == copy->copied)
			break;
		copy->copied = copy->queued;
		if (copy->copied == copy->end)
			break;
		queue_descriptors(copy);
	}
	copy->lied = has_lied(copy);
	unmap_both(copy);
	if (copy->lied)
		copy->copied = copy->begin;
	bytes = copy->copied - copy->begin;
	leave_with(copy, bytes);
	/* Not before this: memory that the device could not reach is only there now. */
	pd_copy_by_cpu(copy, 0, copy->begin);
	pd_copy_by_cpu(copy, copy->copied, copy->bytes);
	return bytes;
}
