// SPDX-License-Identifier: GPL-2.0-only
/* Read: one item a line, fields separated by one blank.
 *
 *	dma on|off
 *	channels_wanted N                   0: all
 *	timeout_ms MS
 *	channel NAME DRIVER NODE DEPTH STATE COPIES BYTES ERRORS TIMEOUTS
 *	refused NAME DRIVER WHY...
 *	threshold NODE BYTES|never          as measured
 *	threshold_set NODE BYTES|never      by hand
 *	threshold_huge NODE BYTES|never     for buffers in huge pages, as measured or by hand
 *	measured NODE BYTES CPU_NS ONE_NS ALL_NS
 *	measured_huge NODE BYTES CPU_NS ONE_NS ALL_NS
 *
 * Written: one command a write(), as commands[] has them.
 */
#include <linux/nodemask.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "calibrate.h"
#include "channel.h"
#include "cmdq.h"
#include "engine.h"
#include "engines.h"

#define FILE_NAME "pipedevice_engines"
#define COMMAND_MAX 64
#define TIMEOUT_MAX_MS 60000

/* Protects what follows, the calibrations, and that channels come and go. */
static DEFINE_MUTEX(control);
static bool is_on;
static nodemask_t set_by_hand;

/* ---- reading --------------------------------------------------------------------------- */

static const char *name_of(enum pd_channel_state state)
{
	switch (state) {
	case PD_CHANNEL_ACTIVE:
		return "active";
	case PD_CHANNEL_STOPPING:
		return "stopping";
	case PD_CHANNEL_RETIRED:
		return "retired";
	case PD_CHANNEL_GOING:
		return "going";
	}
	return "-";
}

static void show_channels(struct seq_file *seq)
{
	struct pd_channel *channel;
	struct pd_refused *refused;

	mutex_lock(&pd_channels_mutex);
	list_for_each_entry(channel, &pd_channels, list) {
		if (!channel->chan)
			continue;
		spin_lock_bh(&channel->lock);
		seq_printf(seq, "channel %s %s %d %u %s %llu %llu %llu %llu\n", channel->name,
			   channel->driver, channel->node, channel->depth, name_of(channel->state),
			   channel->nr_copies, channel->bytes, channel->errors, channel->timeouts);
		spin_unlock_bh(&channel->lock);
	}
	list_for_each_entry(refused, &pd_channels_refused, list)
		seq_printf(seq, "refused %s %s %s\n", refused->name, refused->driver, refused->why);
	mutex_unlock(&pd_channels_mutex);
}

static void show_threshold(struct seq_file *seq, const char *name, int node, u32 bytes)
{
	if (bytes == PD_DMA_NEVER)
		seq_printf(seq, "%s %d never\n", name, node);
	else
		seq_printf(seq, "%s %d %u\n", name, node, bytes);
}

static void show_measured(struct seq_file *seq, const char *name, int node,
			  const struct pd_calibrated *rows)
{
	unsigned int i;

	for (i = 0; i < PD_CALIBRATED_SIZES; i++)
		seq_printf(seq, "%s %d %u %llu %llu %llu\n", name, node, rows[i].bytes,
			   rows[i].cpu_ns, rows[i].one_ns, rows[i].all_ns);
}

static int show(struct seq_file *seq, void *v)
{
	struct pd_calibration *calibration;
	int node;

	mutex_lock(&control);
	seq_printf(seq, "dma %s\n", is_on ? "on" : "off");
	seq_printf(seq, "channels_wanted %u\n", pd_channels_wanted);
	seq_printf(seq, "timeout_ms %u\n", pd_cmdq_timeout_ms);
	show_channels(seq);
	for_each_node_state(node, N_CPU) {
		show_threshold(seq, node_isset(node, set_by_hand) ? "threshold_set" : "threshold",
			       node, pd_dma_from[node].pages);
		show_threshold(seq, "threshold_huge", node, pd_dma_from[node].huge);
	}
	list_for_each_entry(calibration, &pd_calibrations, list) {
		show_measured(seq, "measured", calibration->node, calibration->pages);
		show_measured(seq, "measured_huge", calibration->node, calibration->huge);
	}
	mutex_unlock(&control);
	return 0;
}

/* ---- commands -------------------------------------------------------------------------- */

static void set_from(int node, struct pd_dma_from from)
{
	WRITE_ONCE(pd_dma_from[node].pages, from.pages);
	WRITE_ONCE(pd_dma_from[node].huge, from.huge);
}

/* Nodes that nobody has set have what was measured. */
static void apply_measured(void)
{
	struct pd_dma_from from = { PD_DMA_NEVER, PD_DMA_NEVER };
	int node;

	for_each_node_state(node, N_CPU) {
		if (node_isset(node, set_by_hand))
			continue;
		if (is_on)
			from = pd_calibrated_from(node);
		set_from(node, from);
	}
}

static int turn_on(const char *unused)
{
	int nr = pd_channels_acquire();

	if (nr < 0) {
		if (!is_on)
			pd_channels_release();
		return nr;
	}
	is_on = true;
	apply_measured();
	return 0;
}

static int turn_off(const char *unused)
{
	int node;

	is_on = false;
	nodes_clear(set_by_hand);
	/* Also those whose CPUs are not there now. */
	for (node = 0; node < MAX_NUMNODES; node++)
		set_from(node, (struct pd_dma_from){ PD_DMA_NEVER, PD_DMA_NEVER });
	pd_channels_release();
	pd_channels_forget_refused();
	return 0;
}

static int calibrate(const char *unused)
{
	int err;

	if (!is_on)
		return -ENODEV;
	err = pd_calibrate();
	apply_measured();
	return err;
}

/* Also those that have come since: a driver that left its device may be back. */
static int reset(const char *unused)
{
	int nr = 0;

	pd_channels_reset();
	if (is_on)
		nr = pd_channels_acquire();
	return nr == -ENOMEM ? nr : 0;
}

static int set_timeout(const char *argument)
{
	unsigned int ms;
	int err = kstrtouint(argument, 10, &ms);

	if (err || !ms || ms > TIMEOUT_MAX_MS)
		return -EINVAL;
	WRITE_ONCE(pd_cmdq_timeout_ms, ms);
	return 0;
}

static void set_node(int node, bool is_measured, u32 bytes)
{
	if (is_measured) {
		node_clear(node, set_by_hand);
		return;
	}
	node_set(node, set_by_hand);
	set_from(node, (struct pd_dma_from){ bytes, bytes });
}

/* NODE|all BYTES|never|measured */
static int set_threshold(const char *argument)
{
	bool is_measured, is_found = false;
	char where[16], what[16], rest;
	u32 bytes = PD_DMA_NEVER;
	int node, wanted = -1;

	if (sscanf(argument, "%15s %15s %c", where, what, &rest) != 2)
		return -EINVAL;
	if (strcmp(where, "all") && (kstrtoint(where, 10, &wanted) || wanted < 0))
		return -EINVAL;
	is_measured = !strcmp(what, "measured");
	if (!is_measured && strcmp(what, "never") && kstrtou32(what, 10, &bytes))
		return -EINVAL;
	if (!is_on)
		return -ENODEV;
	for_each_node_state(node, N_CPU) {
		if (wanted != -1 && wanted != node)
			continue;
		set_node(node, is_measured, bytes);
		is_found = true;
	}
	apply_measured();
	return is_found ? 0 : -EINVAL;
}

static const struct command {
	const char *name;
	int (*run)(const char *argument);
	bool has_argument;
} commands[] = {
	{ "dma on", turn_on },
	{ "dma off", turn_off },
	{ "calibrate", calibrate },
	{ "reset", reset },
	{ "timeout_ms", set_timeout, true },
	{ "threshold", set_threshold, true },
};

static int run(const char *line)
{
	const struct command *command;
	size_t len;
	int err;

	for (command = commands; command < commands + ARRAY_SIZE(commands); command++) {
		len = strlen(command->name);
		if (strncmp(line, command->name, len))
			continue;
		if (command->has_argument ? line[len] != ' ' : line[len])
			continue;
		err = mutex_lock_interruptible(&control);
		if (err)
			return err;
		err = command->run(command->has_argument ? line + len + 1 : NULL);
		mutex_unlock(&control);
		return err;
	}
	return -EINVAL;
}

static ssize_t write(struct file *file, const char __user *from, size_t bytes, loff_t *at)
{
	char line[COMMAND_MAX];
	int err;

	if (bytes >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, from, bytes))
		return -EFAULT;
	line[bytes] = '\0';
	err = run(strim(line));
	return err ?: bytes;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, NULL);
}

static const struct proc_ops operations = {
	.proc_open = open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = write,
};

int pd_engines_init(void)
{
	return proc_create(FILE_NAME, 0600, NULL, &operations) ? 0 : -ENOMEM;
}

void pd_engines_exit(void)
{
	/* Waits for whoever is inside. */
	remove_proc_entry(FILE_NAME, NULL);
	mutex_lock(&control);
	turn_off(NULL);
	mutex_unlock(&control);
	pd_calibrate_exit();
}
