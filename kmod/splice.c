// SPDX-License-Identifier: GPL-2.0-only
/* splice() from an attached socket: what recvmsg() gives, in pages of their own. */
#include <linux/fs.h>
#include <linux/pipe_fs_i.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "sock_hook.h"

#define PAGES 16

static void release_page(struct splice_pipe_desc *desc, unsigned int i)
{
	put_page(desc->pages[i]);
}

/* Pages for @len bytes at most; returns how many. */
static int alloc_pages_for(struct page **pages, size_t len)
{
	int n;

	for (n = 0; n < PAGES && n * PAGE_SIZE < len; n++) {
		pages[n] = alloc_page(GFP_KERNEL | __GFP_ACCOUNT);
		if (!pages[n])
			break;
	}
	return n;
}

static ssize_t splice_some(struct socket *sock, struct pipe_inode_info *pipe, size_t len)
{
	struct partial_page partial[PAGES];
	struct page *pages[PAGES];
	struct bio_vec bvecs[PAGES];
	struct splice_pipe_desc desc = {
		.pages = pages,
		.partial = partial,
		.nr_pages_max = PAGES,
		.ops = &nosteal_pipe_buf_ops, /* the kernel's: the buffers may outlive us */
		.spd_release = release_page,
	};
	/* SPLICE_F_NONBLOCK is about the pipe. */
	bool nonblock = sock->file && sock->file->f_flags & O_NONBLOCK;
	struct msghdr msg = {};
	int allocated, got, i;
	ssize_t left;

	/* No more than the pipe takes, or bytes would be read and have nowhere to go. */
	left = pipe->max_usage - pipe_occupancy(pipe->head, pipe->tail);
	if (left <= 0)
		return -EAGAIN;
	len = min_t(size_t, len, left * PAGE_SIZE);
	allocated = alloc_pages_for(pages, len);
	if (!allocated)
		return -ENOMEM;
	len = min_t(size_t, len, allocated * PAGE_SIZE);
	for (i = 0; i < allocated; i++) {
		bvecs[i].bv_page = pages[i];
		bvecs[i].bv_offset = 0;
		bvecs[i].bv_len = PAGE_SIZE;
	}
	iov_iter_bvec(&msg.msg_iter, ITER_DEST, bvecs, allocated, len);
	got = sock_recvmsg(sock, &msg, nonblock ? MSG_DONTWAIT : 0);
	for (i = 0; i < allocated; i++) {
		partial[i].offset = 0;
		partial[i].len = clamp_t(int, got - i * (int)PAGE_SIZE, 0, PAGE_SIZE);
		partial[i].private = 0;
		if (partial[i].len <= 0)
			put_page(pages[i]);
		else
			desc.nr_pages++;
	}
	return got <= 0 ? got : splice_to_pipe(pipe, &desc);
}

ssize_t pd_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
		       unsigned int flags)
{
	/* Its reference on the module is for the wait: it may be TCP's by then. */
	struct pd_conn *conn = pd_conn_get(sock->sk);
	ssize_t got;

	if (!conn)
		return pd_splice_past(sock, ppos, pipe, len, flags);
	if (!len)
		got = 0;
	else if (*ppos)
		got = -ESPIPE;
	else
		got = splice_some(sock, pipe, len);
	pd_conn_put(conn);
	return got;
}
