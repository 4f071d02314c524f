/* SPDX-License-Identifier: GPL-2.0-only */
#include <pthread.h>

#include <linux/slab.h>
#include <linux/workqueue.h>

#include "lock.h"
#include "work.h"

/* More flushes in a row of what is not pending: the caller will never come to an end. */
#define MAX_VAIN 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* protects the queue */
static struct workqueue_struct *queue;
static unsigned int vain;

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max)
{
	WARN_ON(queue);
	queue = kzalloc(sizeof(*queue), GFP_KERNEL);
	if (queue)
		INIT_LIST_HEAD(&queue->pending);
	return queue;
}

void destroy_workqueue(struct workqueue_struct *gone)
{
	WARN_ON(!list_empty(&gone->pending));
	queue = NULL;
	kfree(gone);
}

bool queue_delayed_work(struct workqueue_struct *to, struct delayed_work *work, unsigned long delay)
{
	bool is_new;

	pthread_mutex_lock(&mutex);
	is_new = !work->pending;
	if (is_new)
		list_add_tail(&work->list, &to->pending);
	work->pending = true;
	pthread_mutex_unlock(&mutex);
	return is_new;
}

/* Runs @work, or the first if it is NULL. False if there is none. */
static bool run(struct delayed_work *work)
{
	bool is_pending;

	kernel_may_sleep();
	pthread_mutex_lock(&mutex);
	if (!work)
		work = list_first_entry_or_null(&queue->pending, struct delayed_work, list);
	is_pending = work && work->pending;
	if (is_pending) {
		list_del(&work->list);
		work->pending = false;
	}
	pthread_mutex_unlock(&mutex);
	/* It may be gone when this returns. */
	if (is_pending)
		work->work.func(&work->work);
	return is_pending;
}

void flush_delayed_work(struct delayed_work *work)
{
	vain = run(work) ? 0 : vain + 1;
	if (vain > MAX_VAIN)
		kernel_die("%d flushes in vain: the caller would never return", MAX_VAIN);
}

unsigned int kernel_pending_work(void)
{
	struct delayed_work *work;
	unsigned int n = 0;

	pthread_mutex_lock(&mutex);
	list_for_each_entry(work, &queue->pending, list)
		n++;
	pthread_mutex_unlock(&mutex);
	return n;
}

unsigned int kernel_run_work(void)
{
	unsigned int n = kernel_pending_work(), i;

	for (i = 0; i < n && run(NULL); i++)
		;
	return i;
}
