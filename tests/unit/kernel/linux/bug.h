/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel would only warn of ends the test, too. */
#ifndef KERNEL_LINUX_BUG_H
#define KERNEL_LINUX_BUG_H

#define kernel_die(...) kernel_die_at(__FILE__, __LINE__, __VA_ARGS__)
#define WARN_ON(condition) ((condition) && (kernel_die("WARN_ON(" #condition ")"), 1))
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define BUILD_BUG_ON(condition) _Static_assert(!(condition), #condition)

void __attribute__((noreturn, format(printf, 3, 4)))
kernel_die_at(const char *file, int line, const char *format, ...);

#endif /* KERNEL_LINUX_BUG_H */
