/* SPDX-License-Identifier: GPL-2.0-only */
/* What moves payload between a caller's memory and frames. */
#ifndef PD_ENGINE_H
#define PD_ENGINE_H

#include <linux/uio.h>

#include "rbt.h"

/* Copy @bytes of @from behind what is READY in @frame. Returns how many could be
 * read. Process context; may sleep on a page fault, with the sender's socket locked.
 */
u32 pd_engine_cpu_fill(struct pd_frame *frame, struct iov_iter *from, u32 bytes);
/* Copy at most @bytes of @from behind what is READY in @window. Returns how many: fewer
 * if a page of the caller's is not there. Does not sleep.
 */
u32 pd_engine_cpu_fill_window(struct pd_window *window, struct iov_iter *from, u32 bytes);
/* Copy @bytes from offset @offset of @frame, all READY. Returns how many could be
 * written. Process context; may sleep on a page fault.
 */
u32 pd_engine_cpu_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes);

#endif /* PD_ENGINE_H */
