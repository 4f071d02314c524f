/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_GFP_H
#define KERNEL_LINUX_GFP_H

#include <linux/types.h>

#define __GFP_DIRECT_RECLAIM 1u
#define __GFP_NOWARN 2u
#define __GFP_NORETRY 4u
#define __GFP_COMP 8u
#define __GFP_ACCOUNT 16u
#define GFP_KERNEL (__GFP_DIRECT_RECLAIM | 64u)

#endif /* KERNEL_LINUX_GFP_H */
