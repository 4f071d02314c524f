/* SPDX-License-Identifier: GPL-2.0-only */
/* A mutex. Each thread knows what it holds: to take it twice, or to give back what is
 * not held, ends the test.
 */
#ifndef KERNEL_LINUX_SPINLOCK_H
#define KERNEL_LINUX_SPINLOCK_H

#include <pthread.h>

#include <linux/kernel.h>

typedef struct {
	pthread_mutex_t mutex;
} spinlock_t;

#define __releases(lock)
#define DEFINE_SPINLOCK(name) spinlock_t name = { PTHREAD_MUTEX_INITIALIZER }
#define lockdep_assert_held(lock)                         \
	do {                                              \
		if (!kernel_is_held(lock))                \
			kernel_die(#lock " is not held"); \
	} while (0)

void spin_lock_init(spinlock_t *lock);
/* These end the test where bottom halves are not disabled. */
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void spin_lock_bh(spinlock_t *lock);
void spin_unlock_bh(spinlock_t *lock);
void local_bh_disable(void);
void local_bh_enable(void);
bool kernel_is_held(const spinlock_t *lock);

#endif /* KERNEL_LINUX_SPINLOCK_H */
