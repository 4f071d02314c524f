/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_ASM_PAGE_H
#define KERNEL_ASM_PAGE_H

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)

#endif /* KERNEL_ASM_PAGE_H */
