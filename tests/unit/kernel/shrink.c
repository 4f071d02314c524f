/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/bug.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "shrink.h"

static struct shrinker *registered;

struct shrinker *shrinker_alloc(unsigned int flags, const char *name)
{
	return kzalloc(sizeof(struct shrinker), GFP_KERNEL);
}

void shrinker_register(struct shrinker *shrinker)
{
	WARN_ON(registered);
	registered = shrinker;
}

void shrinker_free(struct shrinker *shrinker)
{
	if (registered == shrinker)
		registered = NULL;
	kfree(shrinker);
}

unsigned long kernel_shrinkable(void)
{
	return registered->count_objects(registered, &(struct shrink_control){ 0 });
}

unsigned long kernel_shrink(unsigned long pages)
{
	return registered->scan_objects(registered, &(struct shrink_control){ pages });
}
