// SPDX-License-Identifier: GPL-2.0-only
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "stats.h"

#define FILE_NAME "pipedevice_stat"

DEFINE_PER_CPU(s64[PD_STAT_MAX], pd_stats);

static const char *const names[PD_STAT_MAX] = {
	[PD_STAT_CURR_CONNS] = "CurrConns",
	[PD_STAT_ATTACHED] = "Attached",
	[PD_STAT_ATTACH_REFUSED] = "AttachRefused",
	[PD_STAT_RELEASED] = "Released",
	[PD_STAT_CPU_BYTES] = "CpuBytes",
	[PD_STAT_CPU_MESSAGES] = "CpuMessages",
	[PD_STAT_CPU_DIRECT_BYTES] = "CpuDirectBytes",
	[PD_STAT_DMA_BYTES] = "DmaBytes",
	[PD_STAT_DMA_DIRECT_BYTES] = "DmaDirectBytes",
	[PD_STAT_DMA_DRAINED_BYTES] = "DmaDrainedBytes",
	[PD_STAT_DMA_SEGMENTS] = "DmaSegments",
	[PD_STAT_DMA_ERRORS] = "DmaErrors",
	[PD_STAT_DMA_TIMEOUTS] = "DmaTimeouts",
	[PD_STAT_DMA_REDONE] = "DmaRedone",
	[PD_STAT_DMA_REFUSED] = "DmaRefused",
	[PD_STAT_DMA_NO_CHANNEL] = "DmaNoChannel",
	[PD_STAT_TCP_NO_MEMORY] = "TcpNoMemory",
	[PD_STAT_TCP_UNSENT] = "TcpUnsent",
	[PD_STAT_TCP_READER] = "TcpReader",
	[PD_STAT_TCP_PEER_GONE] = "TcpPeerGone",
	[PD_STAT_FULL] = "Full",
	[PD_STAT_CURR_POOL_BYTES] = "CurrPoolBytes",
};

static int show(struct seq_file *seq, void *v)
{
	int cpu, i;

	for (i = 0; i < PD_STAT_MAX; i++) {
		s64 sum = 0;

		for_each_possible_cpu(cpu)
			sum += per_cpu(pd_stats[i], cpu);
		seq_printf(seq, "%-16s %lld\n", names[i], sum);
	}
	return 0;
}

int pd_stats_init(void)
{
	if (!proc_create_single(FILE_NAME, 0444, NULL, show))
		return -ENOMEM;
	return 0;
}

void pd_stats_exit(void)
{
	remove_proc_entry(FILE_NAME, NULL);
}
