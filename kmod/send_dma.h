/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PD_SEND_DMA_H
#define PD_SEND_DMA_H

#include "conn.h"

/* A message, or what is left of it, of which DMA copies what pays. */
struct pd_dma_send {
	struct sock *reader;
	struct pd_conn *peer; /* of the reader */
	struct pd_pool *pool;
	u32 seq; /* write_seq of the sender */
	gfp_t gfp;
	u8 *rest; /* as pd_dma_job_begin() has it */
	u64 dma_bytes; /* what DMA has copied is added */
};

/* Copy bytes of @from to the reader, @left at most, as far as DMA copies them and there is room.
 * All that it has begun is over when it returns how many; 0: the CPU's turn, for a part at least;
 * -errno as pd_rbt_reserve() says. Process context, sleeps, the sender's socket is locked.
 */
int pd_send_by_dma(struct pd_dma_send *send, struct iov_iter *from, size_t left);

#endif /* PD_SEND_DMA_H */
