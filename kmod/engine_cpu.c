// SPDX-License-Identifier: GPL-2.0-only
#include "engine.h"

u32 pd_engine_cpu_fill(struct pd_frame *frame, struct iov_iter *from, u32 bytes)
{
	return copy_from_iter(frame->data + frame->filled, bytes, from);
}

u32 pd_engine_cpu_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes)
{
	return copy_to_iter(frame->data + offset, bytes, to);
}
