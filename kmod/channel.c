// SPDX-License-Identifier: GPL-2.0-only
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "channel.h"

/* So many faults retire a channel. */
#define MAX_STRIKES 3

LIST_HEAD(pd_channels);
LIST_HEAD(pd_channels_refused);
DEFINE_MUTEX(pd_channels_mutex); /* the list, the plan, and what comes and goes */

unsigned int pd_channels_wanted;
module_param_named(dma_channels, pd_channels_wanted, uint, 0644);
MODULE_PARM_DESC(dma_channels, "DMA channels to take at most (default: 0, all)");

static char *stopped_by_release[8];
static unsigned int nr_stopped_by_release;
module_param_array_named(dma_stopped_by_release, stopped_by_release, charp, &nr_stopped_by_release,
			 0444);
MODULE_PARM_DESC(dma_stopped_by_release,
		 "Drivers, besides ioatdma, of which the release of a channel stops its copies");

/* Which core uses which channels: those of one node share an array. */
static struct pd_cmdqs __rcu *plan;

struct pd_cmdqs *pd_cmdqs(void)
{
	return rcu_dereference(plan);
}

bool pd_channels_any(void)
{
	struct pd_cmdqs *queues;
	bool any;

	rcu_read_lock();
	queues = pd_cmdqs();
	any = queues && queues->all.nr;
	rcu_read_unlock();
	return any;
}

/* ---- which core uses which channels ------------------------------------------------ */

static bool is_usable(const struct pd_channel *channel)
{
	enum pd_channel_state state = READ_ONCE(channel->state);

	/* One that is stopped comes back in a moment. */
	return state == PD_CHANNEL_ACTIVE || state == PD_CHANNEL_STOPPING;
}

/* Those of @node, or of any for NUMA_NO_NODE, into @channels. Returns how many. */
static unsigned int collect(int node, struct pd_channel **channels)
{
	struct pd_channel *channel;
	unsigned int nr = 0;

	lockdep_assert_held(&pd_channels_mutex);
	list_for_each_entry(channel, &pd_channels, list) {
		if (!is_usable(channel))
			continue;
		if (node == NUMA_NO_NODE || channel->node == node || channel->node == NUMA_NO_NODE)
			channels[nr++] = channel;
	}
	return nr;
}

/* Number @i of @nr_cores cores gets a share of @nr channels: some of its own if there are as
 * many channels as cores, else one that it shares.
 */
static void share(struct pd_cmdq *queue, struct pd_channel **channels, unsigned int nr,
		  unsigned int i, unsigned int nr_cores)
{
	if (nr >= nr_cores) {
		unsigned int from = i * nr / nr_cores;

		queue->channels = channels + from;
		queue->nr = (i + 1) * nr / nr_cores - from;
	} else {
		queue->channels = channels + i % nr;
		queue->nr = 1;
	}
}

/* Cores of @node, in order, or all for NUMA_NO_NODE. */
static void plan_cores(struct pd_cmdqs *new, int node, struct pd_channel **channels,
		       unsigned int nr)
{
	unsigned int nr_cores = 0, i = 0;
	int cpu;

	for_each_online_cpu(cpu)
		nr_cores += node == NUMA_NO_NODE || cpu_to_node(cpu) == node;
	/* One that comes later shares with the others. */
	for_each_possible_cpu(cpu)
		if (node == NUMA_NO_NODE || cpu_to_node(cpu) == node)
			share(&new->cores[cpu], channels, nr, i++ % max(nr_cores, 1U),
			      max(nr_cores, 1U));
}

/* Retired ones as well. */
static unsigned int nr_channels(void)
{
	struct pd_channel *channel;
	unsigned int nr = 0;

	list_for_each_entry(channel, &pd_channels, list)
		nr += READ_ONCE(channel->state) != PD_CHANNEL_GOING;
	return nr;
}

/* Make the plan for the channels that can be used. Without memory the old one cannot stay, as its
 * channels may have gone: then there is none.
 */
static int make_plan(void)
{
	struct pd_cmdqs *new = NULL, *old;
	struct pd_channel **channels;
	unsigned int nr = nr_channels(), nr_here;
	size_t queues = sizeof(*new) + nr_cpu_ids * sizeof(struct pd_cmdq);
	int node;

	lockdep_assert_held(&pd_channels_mutex);
	if (nr)
		new = kzalloc(queues + (nr_node_ids + 1) * nr * sizeof(*channels), GFP_KERNEL);
	if (new) {
		channels = (void *)new + queues;
		new->all.channels = channels;
		new->all.nr = collect(NUMA_NO_NODE, channels);
		if (new->all.nr)
			plan_cores(new, NUMA_NO_NODE, channels, new->all.nr);
		for_each_online_node(node) {
			channels += nr;
			nr_here = collect(node, channels);
			if (nr_here)
				plan_cores(new, node, channels, nr_here);
		}
	}
	old = rcu_replace_pointer(plan, new, lockdep_is_held(&pd_channels_mutex));
	synchronize_rcu();
	kfree(old);
	return nr && !new ? -ENOMEM : 0;
}

/* ---- one channel ------------------------------------------------------------------- */

static const char *driver_of(const struct dma_chan *chan)
{
	const struct device_driver *driver = chan->device->dev->driver;

	return driver ? driver->name : "-";
}

static void note_refused(struct dma_chan *chan, const char *why)
{
	const char *name = dma_chan_name(chan);
	struct pd_refused *refused;

	/* dmaengine asks for it each time that it looks for one. */
	list_for_each_entry(refused, &pd_channels_refused, list)
		if (!strcmp(refused->name, name))
			return;
	refused = kzalloc(sizeof(*refused), GFP_KERNEL);
	if (!refused)
		return;
	strscpy(refused->name, name, sizeof(refused->name));
	strscpy(refused->driver, driver_of(chan), sizeof(refused->driver));
	refused->why = why;
	list_add_tail(&refused->list, &pd_channels_refused);
}

void pd_channels_forget_refused(void)
{
	struct pd_refused *refused, *next;

	list_for_each_entry_safe(refused, next, &pd_channels_refused, list) {
		list_del(&refused->list);
		kfree(refused);
	}
}

/* Drivers that say they stop a copy, and free what the device has not done with (as read in Linux
 * 6.12; ae4dma's also sleeps where it must not).
 */
static const char *const unstoppable[] = { "ptdma", "ae4dma", "fsl-qdma" };

static bool is_among(const char *name, const char *const *names, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* ioatdma stops its interrupt, its timer, and the device, and resets it (as read in Linux 6.12). */
static bool stops_by_release(const struct dma_chan *chan)
{
	const char *driver = driver_of(chan);

	return chan->device->device_free_chan_resources &&
	       (!strcmp(driver, "ioatdma") ||
		is_among(driver, (const char *const *)stopped_by_release, nr_stopped_by_release));
}

/* NULL if it can be used. */
static const char *why_not(struct dma_chan *chan)
{
	const struct dma_device *device = chan->device;

	/* Else a late write could land in memory that has been handed on, or be reported when
	 * nobody waits for it any more.
	 */
	if ((!device->device_terminate_all || !device->device_synchronize) &&
	    !stops_by_release(chan))
		return "its driver cannot stop a copy that does not end";
	if (is_among(driver_of(chan), unstoppable, ARRAY_SIZE(unstoppable)))
		return "its driver does not wait for a copy that it stops";
	if (dma_get_max_seg_size(device->dev) >> device->copy_align == 0)
		return "it copies nothing at once";
	/* Buffers of programs begin and end within a line of the cache. */
	if (!dev_is_dma_coherent(device->dev))
		return "it does not see the caches";
	return NULL;
}

/* The channel that dmaengine is about to give us. Its device is locked, so that its driver does not
 * leave it before we are told of that; the driver's module is held, as dmaengine does not take it
 * that one is asked for that is being unloaded.
 */
struct candidate {
	struct device *dev;
	struct module *owner;
};

static void let_go(struct candidate *candidate)
{
	if (!candidate->dev)
		return;
	device_unlock(candidate->dev);
	put_device(candidate->dev);
	module_put(candidate->owner);
	candidate->dev = NULL;
}

/* Also while it is released. */
static bool is_ours(const struct dma_chan *chan)
{
	struct pd_channel *channel;

	/* Nobody else adds one or takes one out. */
	list_for_each_entry(channel, &pd_channels, list)
		if (READ_ONCE(channel->chan) == chan)
			return true;
	return false;
}

/* dmaengine asks for each that is free: with its own lock held. */
static bool can_be_used(struct dma_chan *chan, void *param)
{
	const char *why = why_not(chan);
	struct candidate *candidate = param;

	/* The last one was not to be had. */
	let_go(candidate);
	if (is_ours(chan))
		return false;
	if (why) {
		note_refused(chan, why);
		return false;
	}
	/* Its driver comes or goes. */
	if (!try_module_get(chan->device->owner))
		return false;
	if (!device_trylock(chan->device->dev)) {
		module_put(chan->device->owner);
		return false;
	}
	candidate->dev = get_device(chan->device->dev);
	candidate->owner = chan->device->owner;
	return true;
}

static void tell_retired(const struct pd_channel *channel)
{
	pr_warn("pipedevice: %s (%s) is not used any more after %d faults: see pdload engines\n",
		channel->name, channel->driver, MAX_STRIKES);
}

void pd_channel_strike(struct pd_channel *channel)
{
	lockdep_assert_held(&channel->lock);
	channel->streak = 0;
	if (++channel->strikes < MAX_STRIKES || channel->state != PD_CHANNEL_ACTIVE)
		return;
	channel->state = PD_CHANNEL_RETIRED;
	queue_work(system_unbound_wq, &channel->work);
	tell_retired(channel);
}

static void wait_until_idle(struct pd_channel *channel)
{
	bool idle;

	/* A copy ends after some time limits at the latest. */
	do {
		spin_lock_bh(&channel->lock);
		idle = list_empty(&channel->copies);
		spin_unlock_bh(&channel->lock);
		if (!idle)
			schedule_timeout_uninterruptible(1);
	} while (!idle);
}

void pd_channel_release(struct pd_channel *channel)
{
	__module_get(channel->owner);
	dma_release_channel(channel->chan);
}

/* Back to dmaengine. The plan is without it when this returns. */
static void give_back(struct pd_channel *channel)
{
	lockdep_assert_held(&pd_channels_mutex);
	if (!channel->chan)
		return;
	spin_lock_bh(&channel->lock);
	channel->state = PD_CHANNEL_GOING;
	spin_unlock_bh(&channel->lock);
	make_plan();
	wait_until_idle(channel);
	if (channel->is_released)
		module_put(channel->owner);
	else
		dma_release_channel(channel->chan);
	channel->chan = NULL;
}

static bool is_it(struct dma_chan *chan, void *wanted)
{
	return chan == wanted;
}

static struct dma_chan *request(dma_filter_fn filter, void *param)
{
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	return dma_request_channel(mask, filter, param);
}

/* A driver that was stopped, or has failed, begins as at first when its channel is acquired. */
static void renew(struct pd_channel *channel)
{
	enum pd_channel_state state = PD_CHANNEL_ACTIVE, before;

	lockdep_assert_held(&pd_channels_mutex);
	wait_until_idle(channel);
	if (!channel->is_released)
		pd_channel_release(channel);
	channel->chan = request(is_it, channel->chan);
	module_put(channel->owner);
	spin_lock_bh(&channel->lock);
	channel->is_released = false;
	atomic_set(&channel->outstanding, 0);
	if (!channel->chan)
		state = PD_CHANNEL_GOING;
	else if (channel->strikes >= MAX_STRIKES)
		state = PD_CHANNEL_RETIRED;
	before = channel->state;
	channel->state = state;
	spin_unlock_bh(&channel->lock);
	if (state == PD_CHANNEL_RETIRED)
		tell_retired(channel);
	else if (state == PD_CHANNEL_GOING)
		pr_warn("pipedevice: %s (%s) is not used any more, as it can't be acquired again: pdload engines --reset tries it\n",
			channel->name, channel->driver);
	/* One that was stopped has stayed in it. */
	if (before != PD_CHANNEL_STOPPING || state != PD_CHANNEL_ACTIVE)
		make_plan();
}

/* All its copies have been stopped, or it is retired. */
static void see_to_channel(struct work_struct *work)
{
	struct pd_channel *channel = container_of(work, struct pd_channel, work);

	mutex_lock(&pd_channels_mutex);
	switch (READ_ONCE(channel->state)) {
	case PD_CHANNEL_STOPPING:
		renew(channel);
		break;
	case PD_CHANNEL_RETIRED:
		make_plan();
		break;
	default:
		break;
	}
	mutex_unlock(&pd_channels_mutex);
}

/* Something happens to a device of the bus. */
static int leave_device(struct notifier_block *unbind, unsigned long event, void *dev)
{
	struct pd_channel *channel = container_of(unbind, struct pd_channel, unbind);

	if (event != BUS_NOTIFY_UNBIND_DRIVER || dev != channel->dev)
		return NOTIFY_DONE;
	mutex_lock(&pd_channels_mutex);
	give_back(channel);
	mutex_unlock(&pd_channels_mutex);
	return NOTIFY_OK;
}

static void remove_channel(struct pd_channel *channel)
{
	mutex_lock(&pd_channels_mutex);
	give_back(channel);
	mutex_unlock(&pd_channels_mutex);
	/* Its driver may have left it meanwhile. Not with the mutex, which the notifier takes. */
	if (channel->dev->bus)
		bus_unregister_notifier(channel->dev->bus, &channel->unbind);
	mutex_lock(&pd_channels_mutex);
	list_del(&channel->list);
	mutex_unlock(&pd_channels_mutex);
	cancel_work_sync(&channel->work);
	put_device(channel->dev);
	kfree(channel);
}

/* Its device is locked. */
static int add_channel(struct dma_chan *chan)
{
	struct pd_channel *channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	struct device *dev = chan->device->dev;

	if (!channel)
		return -ENOMEM;
	channel->chan = chan;
	/* Neither is there any more when the driver has left the device. */
	strscpy(channel->name, dma_chan_name(chan), sizeof(channel->name));
	strscpy(channel->driver, driver_of(chan), sizeof(channel->driver));
	channel->dev = get_device(dev);
	channel->owner = chan->device->owner;
	channel->node = dev_to_node(dev);
	channel->align = (1U << chan->device->copy_align) - 1;
	channel->max_bytes = dma_get_max_seg_size(dev) & ~channel->align;
	channel->stops_by_release = stops_by_release(chan);
	spin_lock_init(&channel->lock);
	mutex_init(&channel->stop_mutex);
	INIT_WORK(&channel->work, see_to_channel);
	INIT_LIST_HEAD(&channel->copies);
	mutex_lock(&pd_channels_mutex);
	list_add_tail(&channel->list, &pd_channels);
	mutex_unlock(&pd_channels_mutex);
	/* Not with the mutex, which the notifier takes. */
	channel->unbind.notifier_call = leave_device;
	if (dev->bus)
		bus_register_notifier(dev->bus, &channel->unbind);
	return 0;
}

/* ---- all ----------------------------------------------------------------------------- */

int pd_channels_acquire(void)
{
	struct candidate candidate = {};
	struct dma_chan *chan;
	unsigned int nr;
	int err = 0;

	pd_channels_forget_refused();
	for (nr = nr_channels(); !err && nr < (pd_channels_wanted ?: UINT_MAX); nr++) {
		chan = request(can_be_used, &candidate);
		if (!chan)
			break;
		err = add_channel(chan);
		if (err)
			dma_release_channel(chan);
		let_go(&candidate);
	}
	let_go(&candidate);
	mutex_lock(&pd_channels_mutex);
	nr = nr_channels();
	err = make_plan() ?: err;
	mutex_unlock(&pd_channels_mutex);
	return nr ? nr : err ?: -ENODEV;
}

void pd_channels_release(void)
{
	struct pd_channel *channel, *next;

	/* Nobody else takes one out of the list. */
	list_for_each_entry_safe(channel, next, &pd_channels, list)
		remove_channel(channel);
	mutex_lock(&pd_channels_mutex);
	make_plan();
	mutex_unlock(&pd_channels_mutex);
}

void pd_channels_reset(void)
{
	struct pd_channel *channel;

	mutex_lock(&pd_channels_mutex);
	list_for_each_entry(channel, &pd_channels, list) {
		spin_lock_bh(&channel->lock);
		channel->strikes = 0;
		channel->errors = 0;
		channel->timeouts = 0;
		spin_unlock_bh(&channel->lock);
		if (READ_ONCE(channel->state) == PD_CHANNEL_RETIRED)
			renew(channel);
	}
	mutex_unlock(&pd_channels_mutex);
}
