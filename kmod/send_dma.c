// SPDX-License-Identifier: GPL-2.0-only
/* The payload of one send(), in segments that several channels copy at the same time. Room in
 * the reader's buffer is reserved in the order of the stream, and becomes READY in that order,
 * whichever copy ends first.
 */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <net/tcp.h>

#include "cmdq.h"
#include "engine.h"
#include "send_dma.h"
#include "sock_hook.h"
#include "stats.h"

/* Of one segment: the first and the last may have less room. */
#define FRAMES 4

struct segment {
	struct pd_dma_job *job;
	struct {
		struct pd_frame *frame;
		u32 room;
	} frames[FRAMES];
	unsigned int nr;
};

static void wake_reader(struct pd_dma_send *send)
{
	if (pd_has_enough(send->reader, send->peer))
		pd_conn_wake_reader(send->reader);
}

/* All of the window of a waiting reader, or as much of it as there is. Returns how many bytes, 0
 * if there is none.
 */
static u32 fill_window(struct pd_dma_send *send, struct pd_dma_job *job,
		       const struct iov_iter *from)
{
	struct pd_rbt *rbt = &send->peer->rbt;
	struct pd_copy *copy = &job->copy;
	struct pd_window *window;
	u32 bytes, by_dma;

	if (before(READ_ONCE(tcp_sk(send->reader)->copied_seq), send->seq))
		return 0;
	window = pd_rbt_claim_window(rbt);
	if (!window)
		return 0;
	if (pd_window_has(window, from)) {
		pd_rbt_put_window(rbt, window, 0);
		return 0;
	}
	bytes = min(job->pinned.window.size, window->size - window->filled);
	copy->bytes = bytes;
	pd_side_add_window(&copy->target, window, window->filled, bytes);
	pd_cmdq_begin(copy);
	by_dma = pd_cmdq_end(copy);
	pd_rbt_put_window(rbt, window, bytes);
	pd_conn_wake_reader(send->reader);
	send->dma_bytes += by_dma;
	pd_stat_add(PD_STAT_DMA_DIRECT_BYTES, by_dma);
	return bytes;
}

/* Room for the segment, at least for some of it. DMA-API wants no two stretches mapped at a time
 * that begin in the same line of the cache ("overlapping mappings"): so what would be less than a
 * line at the end is left to the next segment, or to the CPU.
 */
static int reserve(struct pd_dma_send *send, struct segment *segment)
{
	struct pd_rbt *rbt = &send->peer->rbt;
	struct pd_copy *copy = &segment->job->copy;
	u32 left = segment->job->pinned.window.size, room;
	struct pd_frame *frame;
	void *data;

	for (segment->nr = 0; segment->nr < FRAMES; segment->nr++) {
		if (!left || (segment->nr && left < L1_CACHE_BYTES))
			break;
		frame = pd_rbt_reserve(rbt, send->pool, send->seq, left, send->gfp, &room);
		if (IS_ERR(frame)) {
			if (!segment->nr)
				return PTR_ERR(frame);
			break;
		}
		segment->frames[segment->nr].frame = frame;
		segment->frames[segment->nr].room = room;
		data = frame->data + frame->reserved - room;
		pd_side_add(&copy->target, virt_to_page(data), offset_in_page(data), room);
		left -= room;
	}
	copy->bytes = copy->target.bytes;
	return 0;
}

/* Start the next segment of @from, @left bytes at most. Returns how many bytes it has, 0 if it is
 * not for DMA, or -errno. If they are all there already, segment->nr is 0.
 */
static int begin(struct pd_dma_send *send, struct segment *segment, struct iov_iter *from,
		 size_t left, bool is_first)
{
	int bytes;

	/* Nor for whoever changes the address space, which may take as long. */
	if (!is_first) {
		if (!mmap_read_trylock(current->mm))
			return 0;
		mmap_read_unlock(current->mm);
	}
	/* A page that has to be fetched may take for ever, and what is there is not for that to
	 * wait: the CPU copies up to it, and waits as in TCP.
	 */
	segment->job = pd_dma_job_begin(from, left, FOLL_NOFAULT, send->rest);
	if (!segment->job)
		return 0;
	segment->nr = 0;
	bytes = is_first ? fill_window(send, segment->job, from) : 0;
	if (!bytes) {
		int err = reserve(send, segment);

		if (err) {
			pd_dma_job_end(segment->job, 0);
			return err;
		}
		bytes = segment->job->copy.bytes;
		pd_cmdq_begin(&segment->job->copy);
	} else {
		pd_dma_job_end(segment->job, 0);
	}
	iov_iter_advance(from, bytes);
	return bytes;
}

/* Its bytes are READY when this returns. Returns how many the reader's buffer did not take, as
 * it was closed.
 */
static u32 end(struct pd_dma_send *send, struct segment *segment)
{
	u32 by_dma = pd_cmdq_end(&segment->job->copy), lost = 0;
	unsigned int i;

	for (i = 0; i < segment->nr; i++)
		if (pd_rbt_publish(&send->peer->rbt, segment->frames[i].frame,
				   segment->frames[i].room, segment->frames[i].room))
			lost += segment->frames[i].room;
	if (!lost)
		send->dma_bytes += by_dma;
	pd_dma_job_end(segment->job, 0);
	wake_reader(send);
	return lost;
}

int pd_send_by_dma(struct pd_dma_send *send, struct iov_iter *from, size_t left)
{
	struct segment segments[PD_DMA_IN_FLIGHT];
	unsigned int begun = 0, ended = 0;
	int bytes = 1, sent = 0;
	u32 lost = 0;

	for (;;) {
		if (bytes > 0 && !lost && left && begun - ended < PD_DMA_IN_FLIGHT) {
			struct segment *segment = &segments[begun % PD_DMA_IN_FLIGHT];

			bytes = begin(send, segment, from, left, begun == ended);
			if (bytes > 0) {
				left -= bytes;
				sent += bytes;
				begun += !!segment->nr;
				continue;
			}
		}
		if (begun == ended)
			break;
		lost += end(send, &segments[ended++ % PD_DMA_IN_FLIGHT]);
	}
	iov_iter_revert(from, lost);
	sent -= lost;
	if (lost && !sent)
		return -EPIPE;
	return sent ?: min(bytes, 0);
}
