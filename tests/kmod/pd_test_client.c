// SPDX-License-Identifier: GPL-2.0-only
/* A client of pd_test_dma's channels, for tests of pd_test_dma itself: it takes all of them and
 * sees what becomes of copies. See README.md.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define NAME "pd_test_client"
#define MAX_CHANNELS 64
#define MAX_COPIES 4096
/* What copies that cannot be terminated may take at most. */
#define PATIENCE_MS 20000

#define UNTOUCHED 0x11
#define HANDED_ON 0x77
#define GARBAGE 0x5a

struct transfer {
	struct dma_chan *chan; /* NULL: there was no descriptor for it */
	dma_cookie_t cookie;
	u8 *src;
	u8 *dst;
	dma_addr_t from;
	dma_addr_t to;
	unsigned int turn; /* among all callbacks; 0: there was none */
	enum dmaengine_tx_result result;
	enum dma_status status;
};

static struct {
	unsigned int ok, wrong, error, aborted, lost, refused;
	unsigned int overwritten; /* memory that was handed on after the termination */
	unsigned int disordered; /* called back before an earlier one of the same channel */
	unsigned int status; /* that said something else than the callback */
	unsigned int half; /* errors that did not leave garbage in the first half alone */
} seen;

static struct dma_chan *chans[MAX_CHANNELS];
static unsigned int chan_count;
static struct dentry *dir;
static DEFINE_MUTEX(run_mutex); /* one run at a time */
static atomic_t turns;
static atomic_t pending;
static DECLARE_COMPLETION(all_called);

static void called(void *data, const struct dmaengine_result *result)
{
	struct transfer *transfer = data;

	WARN_ON(!in_softirq() || transfer->turn);
	transfer->result = result->result;
	transfer->turn = atomic_inc_return(&turns);
	if (atomic_dec_and_test(&pending))
		complete(&all_called);
}

/* Bytes that no other copy has, and no other place of this one. */
static void fill(u64 *words, size_t bytes, u64 number)
{
	size_t i;

	for (i = 0; i < bytes / sizeof(*words); i++)
		words[i] = (number << 32 | (i + 1)) * GOLDEN_RATIO_64;
}

static bool is_filled(const u8 *bytes, size_t len, u8 with)
{
	return !memchr_inv(bytes, with, len);
}

static bool is_copied(const struct transfer *transfer, size_t bytes)
{
	return !memcmp(transfer->src, transfer->dst, bytes);
}

static struct device *device_of(struct dma_chan *chan)
{
	return chan->device->dev;
}

static int make(struct transfer *transfer, unsigned int number, size_t bytes)
{
	transfer->src = kmalloc(bytes, GFP_KERNEL);
	transfer->dst = kmalloc(bytes, GFP_KERNEL);
	if (!transfer->src || !transfer->dst)
		return -ENOMEM;
	fill((u64 *)transfer->src, bytes, number);
	memset(transfer->dst, UNTOUCHED, bytes);
	return 0;
}

static void unmap(struct transfer *transfer, struct dma_chan *chan, size_t bytes)
{
	dma_unmap_single(device_of(chan), transfer->from, bytes, DMA_TO_DEVICE);
	dma_unmap_single(device_of(chan), transfer->to, bytes, DMA_FROM_DEVICE);
}

static void submit(struct transfer *transfer, struct dma_chan *chan, size_t bytes)
{
	struct device *dev = device_of(chan);
	struct dma_async_tx_descriptor *tx;

	transfer->from = dma_map_single(dev, transfer->src, bytes, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, transfer->from))
		return;
	transfer->to = dma_map_single(dev, transfer->dst, bytes, DMA_FROM_DEVICE);
	if (dma_mapping_error(dev, transfer->to)) {
		dma_unmap_single(dev, transfer->from, bytes, DMA_TO_DEVICE);
		return;
	}
	tx = dmaengine_prep_dma_memcpy(chan, transfer->to, transfer->from, bytes,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx) {
		unmap(transfer, chan, bytes);
		return;
	}
	atomic_inc(&pending);
	transfer->chan = chan;
	tx->callback_result = called;
	tx->callback_param = transfer;
	transfer->cookie = dmaengine_submit(tx);
}

/* Nothing of @transfers is written any more after this. */
static void end_all(struct transfer *transfers, unsigned int count, unsigned int timeout_ms)
{
	unsigned int i;

	if (atomic_dec_and_test(&pending))
		complete(&all_called);
	if (wait_for_completion_timeout(&all_called, msecs_to_jiffies(timeout_ms)))
		reinit_completion(&all_called);
	for (i = 0; i < count; i++) {
		if (transfers[i].chan)
			transfers[i].status = dma_async_is_tx_complete(
				transfers[i].chan, transfers[i].cookie, NULL, NULL);
	}
	for (i = 0; i < chan_count; i++) {
		/* What cannot be terminated has to be awaited. */
		if (dmaengine_terminate_sync(chans[i]) && atomic_read(&pending))
			WARN_ON(!wait_for_completion_timeout(&all_called,
							     msecs_to_jiffies(PATIENCE_MS)));
		dmaengine_synchronize(chans[i]);
	}
}

static void judge(struct transfer *transfer, size_t bytes)
{
	enum dma_status expected = DMA_COMPLETE;

	if (!transfer->turn) {
		seen.lost++;
		expected = DMA_IN_PROGRESS;
	} else if (transfer->result == DMA_TRANS_ABORTED) {
		seen.aborted++;
		expected = DMA_ERROR;
	} else if (transfer->result != DMA_TRANS_NOERROR) {
		seen.error++;
		expected = DMA_ERROR;
		seen.half += !is_filled(transfer->dst, bytes / 2, GARBAGE) ||
			     !is_filled(transfer->dst + bytes / 2, bytes - bytes / 2, UNTOUCHED);
	} else if (is_copied(transfer, bytes)) {
		seen.ok++;
	} else {
		seen.wrong++;
	}
	seen.status += transfer->status != expected;
}

/* Channels come round: the one before on the same channel is so many before. */
static void judge_all(struct transfer *transfers, unsigned int count, size_t bytes)
{
	unsigned int last[MAX_CHANNELS] = {};
	unsigned int i, *turn;

	for (i = 0; i < count; i++) {
		if (!transfers[i].chan) {
			seen.refused++;
			continue;
		}
		unmap(&transfers[i], transfers[i].chan, bytes);
		judge(&transfers[i], bytes);
		turn = &last[i % chan_count];
		if (!transfers[i].turn)
			continue;
		seen.disordered += transfers[i].turn < *turn;
		*turn = transfers[i].turn;
	}
}

/* Others have the memory now. */
static void hand_on(struct transfer *transfers, unsigned int count, size_t bytes,
		    unsigned int quiet_ms)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		memset(transfers[i].dst, HANDED_ON, bytes);
	msleep(quiet_ms);
	for (i = 0; i < count; i++)
		seen.overwritten += !is_filled(transfers[i].dst, bytes, HANDED_ON);
}

static int run(unsigned int count, size_t bytes, unsigned int timeout_ms, unsigned int quiet_ms)
{
	struct transfer *transfers = kvcalloc(count, sizeof(*transfers), GFP_KERNEL);
	unsigned int i;
	int err = 0;

	if (!transfers)
		return -ENOMEM;
	for (i = 0; i < count && !err; i++)
		err = make(&transfers[i], i, bytes);
	if (err)
		goto free;
	memset(&seen, 0, sizeof(seen));
	atomic_set(&turns, 0);
	atomic_set(&pending, 1);
	reinit_completion(&all_called);
	for (i = 0; i < count; i++)
		submit(&transfers[i], chans[i % chan_count], bytes);
	for (i = 0; i < chan_count; i++)
		dma_async_issue_pending(chans[i]);
	end_all(transfers, count, timeout_ms);
	judge_all(transfers, count, bytes);
	hand_on(transfers, count, bytes, quiet_ms);
free:
	for (i = 0; i < count; i++) {
		kfree(transfers[i].src);
		kfree(transfers[i].dst);
	}
	kvfree(transfers);
	return err;
}

/* COUNT BYTES TIMEOUT_MS QUIET_MS */
static ssize_t run_write(struct file *file, const char __user *from, size_t len, loff_t *at)
{
	unsigned int count, bytes, timeout_ms, quiet_ms;
	char text[64] = {};
	int err;

	if (len >= sizeof(text) || copy_from_user(text, from, len))
		return -EINVAL;
	if (sscanf(text, "%u %u %u %u", &count, &bytes, &timeout_ms, &quiet_ms) != 4 ||
	    count > MAX_COPIES || !bytes || bytes > SZ_1M || bytes % sizeof(u64))
		return -EINVAL;
	mutex_lock(&run_mutex);
	err = run(count, bytes, timeout_ms, quiet_ms);
	mutex_unlock(&run_mutex);
	return err ? err : len;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
};

static int seen_show(struct seq_file *seq, void *v)
{
	seq_printf(seq, "channels %u max_seg %u copy_align %u\n", chan_count,
		   dma_get_max_seg_size(device_of(chans[0])), 1 << chans[0]->device->copy_align);
	seq_printf(seq, "ok %u wrong %u error %u aborted %u lost %u refused %u\n", seen.ok,
		   seen.wrong, seen.error, seen.aborted, seen.lost, seen.refused);
	seq_printf(seq, "overwritten %u disordered %u status %u half %u\n", seen.overwritten,
		   seen.disordered, seen.status, seen.half);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(seen);

static bool is_provider(struct dma_chan *chan, void *nothing)
{
	struct device *dev = device_of(chan);

	return dev->driver && !strcmp(dev->driver->name, "pd_test_dma");
}

static void give_back(void)
{
	while (chan_count)
		dma_release_channel(chans[--chan_count]);
}

static int __init test_client_init(void)
{
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	while (chan_count < MAX_CHANNELS) {
		chans[chan_count] = dma_request_channel(mask, is_provider, NULL);
		if (!chans[chan_count])
			break;
		chan_count++;
	}
	if (!chan_count)
		return -ENODEV;
	dir = debugfs_create_dir(NAME, NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("seen", 0400, dir, NULL, &seen_fops);
	return 0;
}

static void __exit test_client_exit(void)
{
	debugfs_remove_recursive(dir);
	give_back();
}

module_init(test_client_init);
module_exit(test_client_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A client of pd_test_dma, for tests");
