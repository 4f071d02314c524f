/* SPDX-License-Identifier: GPL-2.0-only */
/* The test's. */
#ifndef KERNEL_LINUX_TOPOLOGY_H
#define KERNEL_LINUX_TOPOLOGY_H

extern int kernel_node;
extern unsigned int kernel_nodes;

static inline int numa_node_id(void)
{
	return kernel_node;
}

static inline unsigned int num_online_nodes(void)
{
	return kernel_nodes;
}

#endif /* KERNEL_LINUX_TOPOLOGY_H */
