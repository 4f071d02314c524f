/* SPDX-License-Identifier: GPL-2.0-only */
/* The DMA channels that the module has acquired, from any provider of dmaengine. */
#ifndef PD_CHANNEL_H
#define PD_CHANNEL_H

#include <linux/dmaengine.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

enum pd_channel_state {
	PD_CHANNEL_ACTIVE,
	PD_CHANNEL_STOPPING, /* all its copies are stopped, and it is acquired anew */
	PD_CHANNEL_RETIRED, /* after too many faults, until pd_channels_reset() */
	PD_CHANNEL_GOING, /* given back once nothing is in flight */
};

struct pd_channel {
	struct dma_chan *chan; /* NULL: given back, or not to be had again */
	char name[32], driver[32];
	struct device *dev; /* for which memory is mapped */
	struct module *owner; /* of the driver; held while the channel is released */
	int node; /* NUMA_NO_NODE: as near to one as to another */
	u32 max_bytes; /* of a descriptor */
	u32 align; /* of addresses and bytes, less 1 */
	bool stops_by_release; /* nothing else stops its copies, see pd_channel_release() */

	spinlock_t lock; /* BH; protects what follows */
	enum pd_channel_state state;
	bool is_released; /* so stopped, until it is acquired anew: nothing of it is called */
	struct list_head copies; /* struct pd_copy that use it */
	u32 depth; /* descriptors outstanding when the driver first took no more; 0: never */
	unsigned int strikes; /* faults, of which a long time without one takes one away */
	unsigned int streak; /* copies since the last fault, or strike taken away */
	u64 nr_copies, bytes, errors, timeouts;

	atomic_t outstanding; /* descriptors with the driver */
	atomic_t ended; /* descriptors that have */
	struct work_struct work; /* what its state asks for and a copy cannot do */
	struct mutex stop_mutex; /* one stops it at a time */
	struct list_head list; /* in pd_channels, under pd_channels_mutex */
	struct notifier_block unbind; /* its driver is about to leave its device */
};

/* Channels that are there and not used: why. */
struct pd_refused {
	struct list_head list;
	char name[32], driver[32];
	const char *why;
};

/* Under pd_channels_mutex. */
extern struct list_head pd_channels;
extern struct mutex pd_channels_mutex;
/* Written by who acquires; read by who sees to it that nobody does. */
extern struct list_head pd_channels_refused;

/* What one core queues its copies on: channels of its own node, if there are any, and
 * of its own, if there are enough.
 */
struct pd_cmdq {
	unsigned int nr, next;
	struct pd_channel **channels;
};

struct pd_cmdqs {
	struct pd_cmdq all; /* channels, of whichever core */
	struct pd_cmdq cores[]; /* by number */
};

/* NULL: there are no channels. In an RCU section. */
struct pd_cmdqs *pd_cmdqs(void);
/* Is there any that is not retired? Any context. */
bool pd_channels_any(void);

/* How many to have at most; 0: all. The module's parameter dma_channels. */
extern unsigned int pd_channels_wanted;

/* Acquire all that can be used, or are wanted; those that the module has already stay. Returns
 * how many it has then, -ENODEV if none, -ENOMEM. Process context, sleeps; the caller sees to it
 * that this and pd_channels_release() run one at a time.
 */
int pd_channels_acquire(void);
/* Give them back, once nothing is in flight on them. Process context, sleeps. */
void pd_channels_release(void);
/* Those that were refused when channels were acquired last: the caller sees to it that this and
 * that run one at a time.
 */
void pd_channels_forget_refused(void);
/* Forget their faults; retired ones are acquired anew. Process context, sleeps. */
void pd_channels_reset(void);
/* Release @channel, which is not ACTIVE; its driver's module is held until it is acquired anew,
 * once all copies have left it. Where stops_by_release, this stops them. Process context, sleeps.
 */
void pd_channel_release(struct pd_channel *channel);
/* One more fault of @channel, under its lock. */
void pd_channel_strike(struct pd_channel *channel);

#endif /* PD_CHANNEL_H */
