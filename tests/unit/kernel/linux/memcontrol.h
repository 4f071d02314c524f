/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_MEMCONTROL_H
#define KERNEL_LINUX_MEMCONTROL_H

#include <limits.h>

#include <asm/page.h>

#include <linux/kernel.h>

#define CONFIG_MEMCG 1
#define PAGE_COUNTER_MAX ((unsigned long)(LONG_MAX / PAGE_SIZE))

struct cgroup_subsys_state {
	int refs;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct {
		unsigned long max, high; /* pages */
	} memory;
	struct mem_cgroup *parent;
	bool is_short;
	long charged; /* pages */
};

static inline void css_get(struct cgroup_subsys_state *css)
{
	css->refs++;
}

static inline void css_put(struct cgroup_subsys_state *css)
{
	if (!css->refs--)
		kernel_die("a cgroup is put twice");
}

static inline struct mem_cgroup *parent_mem_cgroup(struct mem_cgroup *memcg)
{
	return memcg->parent;
}

static inline bool mem_cgroup_under_socket_pressure(const struct mem_cgroup *memcg)
{
	return memcg->is_short;
}

#endif /* KERNEL_LINUX_MEMCONTROL_H */
