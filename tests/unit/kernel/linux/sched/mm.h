/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_SCHED_MM_H
#define KERNEL_LINUX_SCHED_MM_H

struct mem_cgroup;

/* Returns the one before. */
struct mem_cgroup *set_active_memcg(struct mem_cgroup *memcg);

#endif /* KERNEL_LINUX_SCHED_MM_H */
