/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the module stands between a socket's calls and TCP: its struct proto,
 * its place as the socket's ULP, its sock->ops.
 */
#ifndef PD_SOCK_HOOK_H
#define PD_SOCK_HOOK_H

#include <linux/net.h>
#include <net/tcp.h>

#include "compat.h"
#include "conn.h"

/* Attach to @sk, which has a psock, is ESTABLISHED or about to be, and is locked
 * (owned by a task or in softirq). Any context.
 * -EINVAL: no psock, or not a plain TCP socket beneath; -EEXIST: has a ULP,
 * or was attached before; -EBUSY: somebody else has redirected bytes to it; -ENOMEM.
 */
int pd_sock_attach(struct sock *sk);
/* Give a socket whose psock has gone back to TCP, if nothing is left to read.
 * Process context, the socket is not locked.
 */
void pd_sock_try_release(struct pd_conn *conn);
/* A call that has come through our proto and finds no context: the socket was given
 * back a moment ago, and what is returned here does what is asked. The module stays
 * until pd_bypass_end(), as the call may sleep.
 */
struct proto *pd_bypass_begin(struct sock *sk);
void pd_bypass_end(void);
/* The same for a splice(), by the socket's own splice_read(). */
ssize_t pd_splice_past(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
		       unsigned int flags);
/* From now on splice() is ours, too. @sk belongs to the caller's open file. */
void pd_sock_hook_ops(struct sock *sk, struct pd_conn *conn);

/* send.c */
int pd_sendmsg(struct sock *sk, struct msghdr *msg, size_t size);
/* recv.c */
int pd_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len);
/* unread.c: any context, with or without the socket's lock. */
/* Nothing more can come. */
bool pd_has_ended(const struct sock *sk);
/* Bytes that have come, by either way. */
int pd_unread(struct sock *sk, struct pd_conn *conn);
/* As many bytes as the reader waits for have come, or no more can come. */
bool pd_has_enough(struct sock *sk, struct pd_conn *conn);
/* poll() asks. */
bool pd_sock_is_readable(struct sock *sk);
/* splice.c */
ssize_t pd_splice_read(struct socket *sock, loff_t *ppos, struct pipe_inode_info *pipe, size_t len,
		       unsigned int flags);

#endif /* PD_SOCK_HOOK_H */
