/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_SLAB_H
#define KERNEL_LINUX_SLAB_H

#include <errno.h>

#include <linux/gfp.h>

void *kzalloc(size_t size, gfp_t gfp);
/* Takes NULL. */
void kfree(void *memory);

#endif /* KERNEL_LINUX_SLAB_H */
