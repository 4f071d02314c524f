/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_ERR_H
#define KERNEL_LINUX_ERR_H

#include <errno.h>
#include <stdbool.h>

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}

static inline bool IS_ERR(const void *pointer)
{
	return (unsigned long)pointer >= -4095UL;
}

#endif /* KERNEL_LINUX_ERR_H */
