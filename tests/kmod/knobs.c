// SPDX-License-Identifier: GPL-2.0-only
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "pd_test_dma.h"

struct knob {
	const char *name;
	int value;
	atomic_t seen; /* how often it might have hit since it was set */
};

static struct knob knobs[PD_TEST_KNOBS] = {
	[PD_TEST_LATENCY_US] = { "latency_us" },
	[PD_TEST_LATENCY_ODD_US] = { "latency_odd_us" },
	[PD_TEST_NS_PER_KIB] = { "ns_per_kib" },
	[PD_TEST_ERROR_EVERY] = { "error_every" },
	[PD_TEST_LOSE_EVERY] = { "lose_every" },
	[PD_TEST_LATE_EVERY] = { "late_every" },
	[PD_TEST_LATE_US] = { "late_us" },
	[PD_TEST_LATE_POISON] = { "late_poison" },
	[PD_TEST_EARLY_EVERY] = { "early_every" },
	[PD_TEST_NULL_EVERY] = { "null_every" },
	[PD_TEST_FAULT_CHANNEL] = { "fault_channel", -1 },
	[PD_TEST_STUCK_CHANNEL] = { "stuck_channel", -1 },
	[PD_TEST_SILENT_REMOVAL] = { "silent_removal" },
	[PD_TEST_UNWILLING] = { "unwilling" },
	[PD_TEST_RELEASE_US] = { "release_us" },
};

static struct {
	const char *name;
	atomic64_t value;
} counts[PD_TEST_COUNTS] = {
	[PD_TEST_SUBMITTED] = { "submitted_count" },
	[PD_TEST_COMPLETED] = { "completed_count" },
	[PD_TEST_BYTES] = { "bytes_count" },
	[PD_TEST_DOORBELLS] = { "doorbell_count" },
	[PD_TEST_INTERRUPTS] = { "interrupt_count" },
	[PD_TEST_ODD] = { "latency_odd_count" },
	[PD_TEST_ERRORS] = { "error_count" },
	[PD_TEST_LOST] = { "lose_count" },
	[PD_TEST_LATE] = { "late_count" },
	[PD_TEST_POISONED] = { "late_poison_count" },
	[PD_TEST_EARLY] = { "early_count" },
	[PD_TEST_NULLS] = { "null_count" },
	[PD_TEST_FULL] = { "full_count" },
	[PD_TEST_STUCK] = { "stuck_count" },
	[PD_TEST_TERMINATED] = { "terminated_count" },
	[PD_TEST_UNWILLING_COUNT] = { "unwilling_count" },
	[PD_TEST_LATE_TERMINATED] = { "late_terminated_count" },
	[PD_TEST_LATE_RELEASED] = { "late_released_count" },
	[PD_TEST_ABORTED] = { "aborted_count" },
	[PD_TEST_FREED_BUSY] = { "freed_busy_count" },
	[PD_TEST_UNSUBMITTED] = { "unsubmitted_count" },
	[PD_TEST_VIOLATIONS] = { "violations" },
	[PD_TEST_LATE_WRITES] = { "late_writes_after_terminate" },
};

static struct dentry *dir;

int pd_test_knob(enum pd_test_knob knob)
{
	return READ_ONCE(knobs[knob].value);
}

/* Does what comes every so often come now, on this channel? Any context. */
bool pd_test_knob_hits(enum pd_test_knob knob, const struct pd_test_chan *chan)
{
	int every = pd_test_knob(knob);
	int only = pd_test_knob(PD_TEST_FAULT_CHANNEL);

	if (every <= 0 || (only >= 0 && only != chan->index))
		return false;
	return atomic_inc_return(&knobs[knob].seen) % every == 0;
}

void pd_test_count(enum pd_test_count count, s64 n)
{
	atomic64_add(n, &counts[count].value);
}

static int show_knob(void *data, u64 *value)
{
	*value = (s64)READ_ONCE(((struct knob *)data)->value);
	return 0;
}

static int set_knob(void *data, u64 value)
{
	struct knob *knob = data;

	if ((s64)value < -1 || (s64)value > INT_MAX)
		return -EINVAL;
	atomic_set(&knob->seen, 0);
	WRITE_ONCE(knob->value, (int)(s64)value);
	/* A channel may not be stuck any more. */
	pd_test_device_kick();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE_SIGNED(knob_fops, show_knob, set_knob, "%lld\n");

static int show_count(void *data, u64 *value)
{
	*value = atomic64_read(data);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(count_fops, show_count, NULL, "%llu\n");

static int channels_show(struct seq_file *seq, void *v)
{
	pd_test_device_show(seq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(channels);

int pd_test_knobs_init(void)
{
	int i;

	dir = debugfs_create_dir(PD_TEST_NAME, NULL);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	for (i = 0; i < PD_TEST_KNOBS; i++)
		debugfs_create_file_unsafe(knobs[i].name, 0600, dir, &knobs[i], &knob_fops);
	for (i = 0; i < PD_TEST_COUNTS; i++)
		debugfs_create_file_unsafe(counts[i].name, 0400, dir, &counts[i].value,
					   &count_fops);
	debugfs_create_file("channels", 0400, dir, NULL, &channels_fops);
	return 0;
}

void pd_test_knobs_exit(void)
{
	debugfs_remove_recursive(dir);
}
