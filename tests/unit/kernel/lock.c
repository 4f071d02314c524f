/* SPDX-License-Identifier: GPL-2.0-only */
#include "lock.h"

static _Thread_local const spinlock_t *held[4];
static _Thread_local unsigned int bh_disabled;
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
	if (bh_disabled)
		kernel_die("sleeps with bottom halves disabled");
}

void local_bh_disable(void)
{
	bh_disabled++;
}

void local_bh_enable(void)
{
	if (!bh_disabled--)
		kernel_die("bottom halves are enabled that were not disabled");
}

void spin_lock_init(spinlock_t *lock)
{
	pthread_mutex_init(&lock->mutex, NULL);
}

static void call_back(void)
{
	void (*callback)(void *arg) = before;

	before = NULL;
	if (callback)
		callback(before_arg);
}

void spin_lock(spinlock_t *lock)
{
	const spinlock_t **place;

	if (!bh_disabled)
		kernel_die("a lock is taken with bottom halves enabled");
	if (find(lock))
		kernel_die("a lock is taken twice");
	place = find(NULL);
	if (!place)
		kernel_die("too many locks at once");
	pthread_mutex_lock(&lock->mutex);
	*place = lock;
}

void spin_unlock(spinlock_t *lock)
{
	const spinlock_t **place = find(lock);

	if (!place)
		kernel_die("a lock is given back that is not held");
	*place = NULL;
	pthread_mutex_unlock(&lock->mutex);
}

void spin_lock_bh(spinlock_t *lock)
{
	call_back();
	local_bh_disable();
	spin_lock(lock);
}

void spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock(lock);
	local_bh_enable();
}
