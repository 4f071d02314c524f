/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_NET_SOCK_H
#define KERNEL_NET_SOCK_H

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>

struct sock {
	struct mem_cgroup *sk_memcg;
};

#endif /* KERNEL_NET_SOCK_H */
