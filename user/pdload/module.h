/* SPDX-License-Identifier: GPL-2.0-only */
/* pipedevice.ko: loading it, and taking it out again. */
#ifndef PDLOAD_MODULE_H
#define PDLOAD_MODULE_H

#include <stdbool.h>
#include <stddef.h>

#define PD_MODULE_WHY 256

/* True if it is loaded. */
bool pd_module__is_loaded(void);
/* Load it from where the kernel's modules are. 0, or -errno and in @why the rest of a
 * sentence: what keeps it out.
 */
int pd_module__load(char why[PD_MODULE_WHY]);
/* Unload it, if nothing uses it within @seconds. 0, also if it is not loaded; -EBUSY. */
int pd_module__unload(int seconds);
/* True if it is loaded and its function for BPF programs can be called. */
bool pd_module__gives_function(void);
/* Sockets that it is attached to; -1 if that cannot be told. */
long pd_module__sockets(void);

#endif /* PDLOAD_MODULE_H */
