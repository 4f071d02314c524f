/* SPDX-License-Identifier: GPL-2.0-only */
/* One variable for all CPUs. */
#ifndef KERNEL_LINUX_PERCPU_H
#define KERNEL_LINUX_PERCPU_H

#include <linux/types.h>

#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define DEFINE_PER_CPU(type, name) __typeof__(type) name
#define this_cpu_add(variable, n) __atomic_add_fetch(&(variable), n, __ATOMIC_SEQ_CST)

#endif /* KERNEL_LINUX_PERCPU_H */
