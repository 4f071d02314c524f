/* SPDX-License-Identifier: GPL-2.0-only */
/* The grace period ends in rcu_barrier(). */
#ifndef KERNEL_LINUX_RCUPDATE_H
#define KERNEL_LINUX_RCUPDATE_H

struct rcu_head {
	struct rcu_head *next;
	void *memory;
};

#define kfree_rcu(pointer, field) kernel_free_later(&(pointer)->field, pointer)

void rcu_barrier(void);
void kernel_free_later(struct rcu_head *head, void *memory);

#endif /* KERNEL_LINUX_RCUPDATE_H */
