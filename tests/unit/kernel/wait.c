/* SPDX-License-Identifier: GPL-2.0-only */
#include <pthread.h>
#include <time.h>

#include <linux/bug.h>
#include <linux/wait_bit.h>

#include "lock.h"
#include "wait.h"

/* Longer than anything that is right. */
#define MAX_SECONDS 10

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static void (*instead)(void *arg);
static void *instead_arg;
static _Thread_local unsigned int naps;

void kernel_instead_of_wait(void (*callback)(void *arg), void *arg)
{
	instead_arg = arg;
	instead = callback;
}

static bool was_replaced(void)
{
	void (*callback)(void *arg) = instead;

	instead = NULL;
	if (callback)
		callback(instead_arg);
	return callback;
}

long schedule_timeout_uninterruptible(long jiffies)
{
	kernel_may_sleep();
	if (was_replaced())
		return 0;
	if (++naps > MAX_SECONDS * 1000)
		kernel_die("waits for ever");
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	return 0;
}

void kernel_wait_begin(void)
{
	kernel_may_sleep();
	pthread_mutex_lock(&mutex);
}

void kernel_wait_end(void)
{
	pthread_mutex_unlock(&mutex);
}

/* Called between these two. Without the mutex only to call back: what wakes is not missed. */
void kernel_wait(void)
{
	struct timespec until;

	if (instead) {
		pthread_mutex_unlock(&mutex);
		was_replaced();
		pthread_mutex_lock(&mutex);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += MAX_SECONDS;
	if (pthread_cond_timedwait(&woken, &mutex, &until))
		kernel_die("waits for ever");
}

void wake_up_var(void *variable)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_broadcast(&woken);
	pthread_mutex_unlock(&mutex);
}
