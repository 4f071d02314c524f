/* SPDX-License-Identifier: GPL-2.0-only */
/* The command queues: copies are given to DMA channels, and always end well. What a channel
 * does not do in time, or says that it has failed to do, the CPU does.
 */
#ifndef PD_CMDQ_H
#define PD_CMDQ_H

#include "copy.h"

/* Start @copy, both sides of which have copy->bytes or more; one that no channel takes is the
 * CPU's, in pd_cmdq_end(), which must follow. False then. Neither side is touched until that
 * returns. Process context; does not wait for the copy.
 */
bool pd_cmdq_begin(struct pd_copy *copy);
/* Likewise on @channel, which the caller keeps. */
bool pd_cmdq_begin_on(struct pd_copy *copy, struct pd_channel *channel);
/* Wait until all bytes are there: for the time limit at most, then the channel is stopped
 * and the CPU copies. Nobody writes to the target, or reads the source, any more then. Returns
 * how many bytes DMA has copied. Process context, sleeps without regard to signals.
 */
u32 pd_cmdq_end(struct pd_copy *copy);

/* After so long, 1 to 60000 ms. */
extern unsigned int pd_cmdq_timeout_ms;

#endif /* PD_CMDQ_H */
