/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory is short: what the kernel asks the shrinker. */

/* SHRINK_EMPTY: nothing. */
#ifndef KERNEL_SHRINK_H
#define KERNEL_SHRINK_H

unsigned long kernel_shrinkable(void);
/* Returns what the shrinker says. */
unsigned long kernel_shrink(unsigned long pages);

#endif /* KERNEL_SHRINK_H */
