/* SPDX-License-Identifier: GPL-2.0-only */
#include "lock.h"

static _Thread_local const spinlock_t *held[4];
static void (*before)(void *arg);
static void *before_arg;

void kernel_before_lock(void (*callback)(void *arg), void *arg)
{
	before_arg = arg;
	before = callback;
}

/* Where @lock is among those that this thread holds, or NULL. */
static const spinlock_t **find(const spinlock_t *lock)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i] == lock)
			return &held[i];
	return NULL;
}

bool kernel_is_held(const spinlock_t *lock)
{
	return find(lock);
}

void kernel_may_sleep(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i])
			kernel_die("sleeps with a spinlock held");
}

void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
}

void spin_lock_bh(spinlock_t *lock)
{
	void (*callback)(void *arg) = before;
	const spinlock_t **place;

	if (callback) {
		before = NULL;
		callback(before_arg);
	}
	if (find(lock))
		kernel_die("a lock is taken twice");
	place = find(NULL);
	if (!place)
		kernel_die("too many locks at once");
	pthread_mutex_lock(&lock->mutex);
	*place = lock;
}

void spin_unlock_bh(spinlock_t *lock)
{
	const spinlock_t **place = find(lock);

	if (!place)
		kernel_die("a lock is given back that is not held");
	*place = NULL;
	pthread_mutex_unlock(&lock->mutex);
}
