/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a measurement runs and what it costs: pinning with libnuma, and the
 * busy time of the CPUs it was pinned to.
 *
 * Busy time is what the CPU was neither idle, nor waiting for a disk, nor
 * taken by the hypervisor (wall clock less the idle, iowait and steal columns
 * of /proc/stat). Softirq work, which carries packets across a veth pair, is
 * charged by the kernel to whichever process happens to run, or to none, so
 * the CPU times of the two processes are not the cost of a connection. The
 * idle column is measured by the kernel at each entry and exit, the user,
 * system and softirq columns are sampled at timer ticks: hence wall less idle
 * and not their sum. All count in clock ticks of 10 ms. Nothing else should
 * run on those CPUs meanwhile.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <errno.h>
#include <numa.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CPU_NONE (-1)
#define NSEC_PER_SEC 1000000000ULL

struct cpu_mark {
	uint64_t wall; /* ns */
	double idle; /* s, of the CPUs asked for, iowait included */
	double steal; /* s */
};

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Run on @cpu alone, with memory of its node. Returns 0 or -errno. */
static inline int cpu_pin(int cpu)
{
	struct bitmask *mask;
	int err = 0;

	if (cpu < 0 || cpu >= numa_num_possible_cpus())
		return -EINVAL;
	mask = numa_allocate_cpumask();
	numa_bitmask_setbit(mask, (unsigned int)cpu);
	if (numa_sched_setaffinity(0, mask) < 0)
		err = -errno;
	numa_free_cpumask(mask);
	if (!err && numa_available() >= 0 && numa_node_of_cpu(cpu) >= 0)
		numa_set_preferred(numa_node_of_cpu(cpu));
	return err;
}

/* Add @cpu to the sums of @mark. Returns 0 or -errno. */
static inline int cpu_mark_add(struct cpu_mark *mark, int cpu)
{
	unsigned long long v[8]; /* user nice system idle iowait irq softirq steal */
	double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
	int id, err = -ENOENT;
	char line[512];
	FILE *f;

	f = fopen("/proc/stat", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &id, &v[0], &v[1],
			   &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) != 9 ||
		    id != cpu)
			continue;
		mark->idle += (double)(v[3] + v[4]) * tick;
		mark->steal += (double)v[7] * tick;
		err = 0;
		break;
	}
	fclose(f);
	return err;
}

/* The clocks of @a and @b (CPU_NONE or the same again: one CPU) at this moment. */
static inline int cpu_mark(struct cpu_mark *mark, int a, int b)
{
	int err;

	*mark = (struct cpu_mark){ 0 };
	err = cpu_mark_add(mark, a);
	if (!err && b != CPU_NONE && b != a)
		err = cpu_mark_add(mark, b);
	mark->wall = clock_ns(CLOCK_MONOTONIC);
	return err;
}

/* Busy seconds of those CPUs between two marks. */
static inline double cpu_busy(const struct cpu_mark *from, const struct cpu_mark *to, int a, int b)
{
	double cpus = b != CPU_NONE && b != a ? 2 : 1;
	double wall = (double)(to->wall - from->wall) / 1e9;
	double busy = cpus * wall - (to->idle - from->idle) - (to->steal - from->steal);

	return busy > 0 ? busy : 0;
}

#endif /* BENCH_CPU_H */
