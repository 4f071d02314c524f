/* SPDX-License-Identifier: GPL-2.0-only */
/* What moves payload between a caller's memory and frames. */
#ifndef PD_ENGINE_H
#define PD_ENGINE_H

#include <linux/numa.h>
#include <linux/topology.h>
#include <linux/uio.h>

#include "copy.h"
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

/* ---- DMA ---- */

/* Fewer bytes are the CPU's, whatever anybody says. */
#define PD_DMA_MIN (4 << 10)
#define PD_DMA_NEVER U32_MAX

/* Bytes from which on DMA copies, to or from memory of programs in pages of the ordinary size,
 * no two of them adjacent, and in huge ones.
 */
struct pd_dma_from {
	u32 pages, huge;
};

/* By NUMA node. */
extern struct pd_dma_from pd_dma_from[MAX_NUMNODES];

/* A program whose buffers turned out to be of ordinary pages is not looked at for so many
 * messages.
 */
#define PD_DMA_REST 63

/* May DMA copy a message of @bytes? *@rest counts the messages for which it may not be tried. */
static inline bool pd_dma_pays(size_t bytes, u8 *rest)
{
	const struct pd_dma_from *from = &pd_dma_from[numa_node_id()];

	if (likely(bytes < PD_DMA_MIN || bytes < READ_ONCE(from->huge)))
		return bytes >= PD_DMA_MIN && bytes >= READ_ONCE(from->pages);
	if (bytes >= READ_ONCE(from->pages) || !READ_ONCE(*rest))
		return true;
	WRITE_ONCE(*rest, *rest - 1);
	return false;
}

/* Segments of a message at once: as many channels may copy. */
#define PD_DMA_IN_FLIGHT 4

/* One copy between memory of the calling program and the module's or another's. */
struct pd_dma_job {
	struct pd_copy copy;
	struct pd_pinned pinned;
};

int pd_engine_dma_init(void);
void pd_engine_dma_exit(void);
/* User memory that @iter comes to next, of a message of @bytes, PD_PINNED_MAX at most, is pinned
 * and is the source or, with FOLL_WRITE in @flags, the target of a copy. NULL if that is not to
 * be, and the CPU copies: then *@rest may say for how long. Process context, may sleep, as
 * pd_pin() does.
 */
struct pd_dma_job *pd_dma_job_begin(const struct iov_iter *iter, size_t bytes, unsigned int flags,
				    u8 *rest);
/* The copy is over, @bytes of it were of use. May sleep. */
void pd_dma_job_end(struct pd_dma_job *job, u32 bytes);
/* As pd_engine_cpu_drain(), of which this does the first part or, returning 0, none. */
u32 pd_engine_dma_drain(const struct pd_frame *frame, u32 offset, struct iov_iter *to, u32 bytes,
			u8 *rest);

#endif /* PD_ENGINE_H */
