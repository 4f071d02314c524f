/* SPDX-License-Identifier: GPL-2.0-only */
/* A provider of DMA channels that copy when they are told to, and go wrong when they are told
 * to: what a test wants to see of its client, see README.md.
 */
#ifndef PD_TEST_DMA_H
#define PD_TEST_DMA_H

#include <linux/dmaengine.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#define PD_TEST_NAME "pd_test_dma"

/* How many of the last cookies that failed a channel remembers. */
#define PD_TEST_FAILED 4096

/* What may be set while it runs. In the order of names[] in knobs.c. */
enum pd_test_knob {
	PD_TEST_LATENCY_US,
	PD_TEST_LATENCY_ODD_US,
	PD_TEST_NS_PER_KIB,
	PD_TEST_ERROR_EVERY,
	PD_TEST_LOSE_EVERY,
	PD_TEST_LATE_EVERY,
	PD_TEST_LATE_US,
	PD_TEST_LATE_POISON,
	PD_TEST_EARLY_EVERY,
	PD_TEST_NULL_EVERY,
	PD_TEST_FAULT_CHANNEL,
	PD_TEST_STUCK_CHANNEL,
	PD_TEST_SILENT_REMOVAL,
	PD_TEST_UNWILLING,
	PD_TEST_RELEASE_US,
	PD_TEST_KNOBS
};

enum pd_test_count {
	PD_TEST_SUBMITTED,
	PD_TEST_COMPLETED,
	PD_TEST_BYTES,
	PD_TEST_DOORBELLS,
	PD_TEST_INTERRUPTS,
	PD_TEST_ODD,
	PD_TEST_ERRORS,
	PD_TEST_LOST,
	PD_TEST_LATE,
	PD_TEST_POISONED,
	PD_TEST_EARLY,
	PD_TEST_NULLS,
	PD_TEST_FULL,
	PD_TEST_STUCK,
	PD_TEST_TERMINATED,
	PD_TEST_UNWILLING_COUNT,
	PD_TEST_LATE_TERMINATED,
	PD_TEST_LATE_RELEASED,
	PD_TEST_ABORTED,
	PD_TEST_FREED_BUSY,
	PD_TEST_UNSUBMITTED,
	PD_TEST_VIOLATIONS,
	PD_TEST_LATE_WRITES,
	PD_TEST_COUNTS
};

enum pd_test_fault {
	PD_TEST_NO_FAULT,
	PD_TEST_ERROR,
	PD_TEST_LOSE,
	PD_TEST_BE_LATE,
	PD_TEST_BE_EARLY,
};

/* Free, or given out by prep (on no list), or on one of the lists of its channel, or what the
 * channel copies, or what the tasklet calls back for.
 */
struct pd_test_desc {
	struct dma_async_tx_descriptor tx;
	struct list_head node;
	dma_addr_t dst;
	dma_addr_t src;
	size_t len;
	u64 generation; /* of the channel when it was submitted */
	ktime_t due;
	enum pd_test_fault fault;
	enum dmaengine_tx_result result; /* if it was stopped: NOERROR tells nobody */
	bool told; /* one that was early: its client has been called back, and it is its own */
	bool stopped; /* written under the lock, read without by whoever copies */
};

struct pd_test_chan {
	struct dma_chan chan;
	struct pd_test_device *device;
	int index; /* among those of all devices */
	struct hrtimer timer;
	struct work_struct work;
	struct tasklet_struct tasklet;

	/* protects what follows, and the cookies of @chan; taken in any context */
	spinlock_t lock;
	struct list_head free;
	struct list_head submitted;
	struct list_head queued; /* issued, in order */
	struct list_head lost;
	struct list_head done; /* copied or failed: the callback is to come */
	struct pd_test_desc *copying;
	struct pd_test_desc *descs; /* NULL as long as nobody has the channel */
	bool gone; /* the device was removed */
	bool releasing; /* and not stopped yet, see release_us; read without the lock */
	ktime_t engine_free; /* when the last one's bytes have passed */
	ktime_t last_due;
	u64 generation; /* how often it was terminated */
	u64 synced; /* nothing submitted before this generation may write any more */
	dma_cookie_t failed[PD_TEST_FAILED];
};

/* Lives until the module goes: see free_devices(). */
struct pd_test_device {
	struct dma_device dma;
	struct list_head node;
	bool registered;
	bool released; /* nobody has any of its channels any more */
	unsigned int channels;
	struct pd_test_chan chans[];
};

/* device.c */
extern unsigned int pd_test_depth;
extern unsigned int pd_test_max_seg;
extern unsigned int pd_test_copy_align;
extern struct workqueue_struct *pd_test_workqueue;

void pd_test_device_kick(void);
void pd_test_device_show(struct seq_file *seq);

/* channel.c: what a client calls */
void pd_test_channel_init(struct pd_test_chan *chan, struct pd_test_device *device, int index);
void pd_test_channel_ops(struct dma_device *dma, bool terminate);
void pd_test_channel_remove(struct pd_test_chan *chan);
void pd_test_channel_exit(struct pd_test_chan *chan);
void pd_test_channel_show(struct pd_test_chan *chan, struct seq_file *seq);

/* copy.c: what the hardware would do */
void pd_test_copy_run(struct work_struct *work);
void pd_test_copy_interrupt(struct tasklet_struct *tasklet);
enum hrtimer_restart pd_test_copy_due(struct hrtimer *timer);
void pd_test_copy_fail(struct pd_test_chan *chan, struct pd_test_desc *desc,
		       enum dmaengine_tx_result result);

/* knobs.c */
int pd_test_knobs_init(void);
void pd_test_knobs_exit(void);
int pd_test_knob(enum pd_test_knob knob);
bool pd_test_knob_hits(enum pd_test_knob knob, const struct pd_test_chan *chan);
void pd_test_count(enum pd_test_count count, s64 n);

static inline struct pd_test_chan *pd_test_chan_of(struct dma_chan *chan)
{
	return container_of(chan, struct pd_test_chan, chan);
}

static inline struct pd_test_desc *pd_test_desc_of(struct dma_async_tx_descriptor *tx)
{
	return container_of(tx, struct pd_test_desc, tx);
}

#endif /* PD_TEST_DMA_H */
