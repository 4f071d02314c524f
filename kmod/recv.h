/* SPDX-License-Identifier: GPL-2.0-only */
/* One call of recvmsg(): recv.c reads, peek.c looks. All with conn->read_mutex held, in process context;
 * may sleep for memory of the caller's, not for bytes.
 */
#ifndef PD_RECV_H
#define PD_RECV_H

#include "conn.h"
#include "rbt.h"

struct pd_control;

struct recv {
	struct sock *sk;
	struct pd_conn *conn;
	struct msghdr *msg;
	size_t len;
	int flags;
	int *addr_len;
	size_t copied;
	struct iov_iter start; /* what msg_iter was: a look that waits begins anew */
	struct pd_control *control; /* of TCP's calls, if it has been asked for any */
	size_t target; /* bytes that end the wait */
	bool is_pinned_once; /* nothing came in its time */
	int disconnects; /* of the socket, when the call began */
	u32 changes; /* of the receive buffer, when it was last looked at */
	u32 rcv_nxt; /* of TCP, likewise */
	bool was_empty; /* TCP's queue, likewise: rcv_nxt moves before it does */
	bool is_settled; /* what TCP had counted is in its queue */
	bool is_at_mark; /* the last look has ended before the urgent byte */
	bool is_cut; /* it has ended where memory of the caller's was not there */
};

/* How many bytes of TCP may be read before there is a frame to be read. Not more than
 * have come: what was redirected before a byte that is here is in a frame by now, and
 * what is redirected after this look comes before bytes that are still to come.
 */
size_t pd_recv_tcp_limit(const struct recv *recv);
/* Copy @bytes of @frame from @offset on to the caller. Returns how many: fewer if the memory is not there. */
u32 pd_recv_copy_out(struct recv *recv, struct pd_frame *frame, u32 offset, u32 bytes);
/* Have TCP read at most @limit bytes, without waiting. 0: the end, or nothing. */
int pd_recv_take_tcp(struct recv *recv, size_t limit);
/* The bytes of TCP and of frames that can be read one after the other, from the first on, are looked at
 * and stay. With SO_PEEK_OFF from there on. @frame is the first one, or NULL, as pd_rbt_begin() says it.
 * Returns how many, 0 if nothing is there now, -errno.
 */
int pd_recv_peek(struct recv *recv, struct pd_frame *frame, u32 seq, u32 ready);

#endif /* PD_RECV_H */
