/* SPDX-License-Identifier: GPL-2.0-only */
#include <pthread.h>
#include <stddef.h>

#include <linux/rcupdate.h>
#include <linux/slab.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct rcu_head *waiting;

void kernel_free_later(struct rcu_head *head, void *memory)
{
	head->memory = memory;
	pthread_mutex_lock(&mutex);
	head->next = waiting;
	waiting = head;
	pthread_mutex_unlock(&mutex);
}

void rcu_barrier(void)
{
	struct rcu_head *head, *next;

	pthread_mutex_lock(&mutex);
	head = waiting;
	waiting = NULL;
	pthread_mutex_unlock(&mutex);
	for (; head; head = next) {
		next = head->next;
		kfree(head->memory);
	}
}
