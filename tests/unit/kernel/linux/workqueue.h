/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_WORKQUEUE_H
#define KERNEL_LINUX_WORKQUEUE_H

#include <linux/list.h>
#include <linux/sched.h>

#define HZ 1000
#define WQ_UNBOUND 1

struct workqueue_struct {
	struct list_head pending;
};

struct work_struct {
	void (*func)(struct work_struct *work);
};

struct delayed_work {
	struct work_struct work;
	struct list_head list;
	bool pending;
};

#define INIT_DELAYED_WORK(delayed, function) \
	(*(delayed) = (struct delayed_work){ .work.func = function })

static inline struct delayed_work *to_delayed_work(struct work_struct *work)
{
	return container_of(work, struct delayed_work, work);
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max);
void destroy_workqueue(struct workqueue_struct *queue);
bool queue_delayed_work(struct workqueue_struct *queue, struct delayed_work *work,
			unsigned long delay);
/* Run it now if it is pending. That it is not running is the test's affair. */
void flush_delayed_work(struct delayed_work *work);

#endif /* KERNEL_LINUX_WORKQUEUE_H */
