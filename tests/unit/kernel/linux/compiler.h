/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_COMPILER_H
#define KERNEL_LINUX_COMPILER_H

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __aligned(n) __attribute__((aligned(n)))
#define noinline __attribute__((noinline))

#endif /* KERNEL_LINUX_COMPILER_H */
