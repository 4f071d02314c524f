/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_LINUX_VERSION_H
#define KERNEL_LINUX_VERSION_H

#define KERNEL_VERSION(major, minor, patch) ((major) << 16 | (minor) << 8 | (patch))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 12, 0)

#endif /* KERNEL_LINUX_VERSION_H */
