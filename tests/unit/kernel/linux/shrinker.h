/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_SHRINKER_H
#define KERNEL_LINUX_SHRINKER_H

#include <linux/types.h>

#define SHRINK_STOP (~0UL)
#define SHRINK_EMPTY (~0UL - 1)

struct shrink_control {
	unsigned long nr_to_scan;
};

struct shrinker {
	unsigned long (*count_objects)(struct shrinker *shrinker, struct shrink_control *control);
	unsigned long (*scan_objects)(struct shrinker *shrinker, struct shrink_control *control);
};

struct shrinker *shrinker_alloc(unsigned int flags, const char *name);
void shrinker_register(struct shrinker *shrinker);
void shrinker_free(struct shrinker *shrinker);

#endif /* KERNEL_LINUX_SHRINKER_H */
