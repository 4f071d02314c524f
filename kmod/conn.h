/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module keeps for one attached socket. It hangs on the socket as the
 * data of its ULP, and outlives it as long as somebody has a reference: a call
 * that is inside the module, or the peer.
 */
#ifndef PD_CONN_H
#define PD_CONN_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>

#include "rbt.h"

struct pd_conn {
	/* BPF programs read these, as struct pd_sock_info. */
	struct {
		u64 redirected_bytes;
		u64 redirected_messages;
		u64 tcp_bytes;
		u64 tcp_messages;
	} sent; /* under the socket's lock */
	struct pd_rbt rbt; /* what its reader has to read */

	refcount_t refs;
	spinlock_t lock; /* protects sk and peer */
	struct sock *sk; /* NULL once detached; no reference: whoever uses it takes one */
	struct pd_conn __rcu *peer; /* the other end, with a reference, once it is known */
	struct proto *base; /* sk_prot without us, under sk_callback_lock */
	struct proto *tcp; /* what TCP itself does */

	/* the reader */
	struct mutex read_mutex; /* one reader at a time; taken before the socket's lock */
	u32 burst; /* bytes of frames and windows read since the reader last slept */
	struct pd_pool *pool; /* of the frames in rbt: the producer's */
	bool spliceable; /* sock->ops is ours, so that splice() finds the rbt */
	bool tcp_only; /* the reader has asked for what only TCP gives */
	bool mixed; /* TCP's bytes follow frames: SO_RCVLOWAT is not waited for */

	u8 recv_rest; /* of messages that the CPU copies, see pd_dma_pays() */
	u8 send_rest; /* likewise, under the socket's lock */

	bool released; /* the psock has gone: back to TCP once rbt is empty */
	bool sent_urgent; /* MSG_OOB: from then on this socket sends over TCP */
	u16 in_tcp_send; /* calls inside TCP's sendmsg; under the socket's lock */
	struct work_struct release;
	struct rcu_head given_back; /* live, to TCP */
	struct rcu_head rcu; /* freed */
};

/* By these a socket is known to be ours, see sock_hook.c. */
extern struct tcp_ulp_ops pd_ulp_ops;

/* Where connections are released; pd_conn_exit() waits for it. */
extern struct workqueue_struct *pd_conn_work;

int pd_conn_init(void);
/* Waits for what is still to be freed. */
void pd_conn_exit(void);

/* A context for @sk with a reference for the socket, and one on the module, or
 * NULL. Any context.
 */
struct pd_conn *pd_conn_alloc(struct sock *sk, struct proto *tcp);
/* Nobody has a reference any more. Any context. */
void pd_conn_free(struct pd_conn *conn);

/* The next three are here because each call that sends or receives has them. */

/* The context of @sk, for as long as the caller's RCU section lasts, or NULL. Any context. */
static inline struct pd_conn *pd_conn_of(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	void *data = rcu_dereference_check(icsk->icsk_ulp_data, 1);

	/* Pairs with give_back(): whoever takes the slot after us sets the data
	 * after we have cleared the ops.
	 */
	smp_rmb();
	if (!data || READ_ONCE(icsk->icsk_ulp_ops) != &pd_ulp_ops)
		return NULL;
	return data;
}

/* The same with a reference. */
static inline struct pd_conn *pd_conn_get(const struct sock *sk)
{
	struct pd_conn *conn;

	rcu_read_lock();
	conn = pd_conn_of(sk);
	if (conn && !refcount_inc_not_zero(&conn->refs))
		conn = NULL;
	rcu_read_unlock();
	return conn;
}

/* Any context. Takes NULL. */
static inline void pd_conn_put(struct pd_conn *conn)
{
	if (conn && refcount_dec_and_test(&conn->refs))
		pd_conn_free(conn);
}

/* @conn sends to @peer: from now on each knows the other. Any context. */
void pd_conn_pair(struct pd_conn *conn, struct pd_conn *peer);
/* There is something to read at @sk, of which the caller has a reference. */
void pd_conn_wake_reader(struct sock *sk);
/* There is room in the receive buffer of @conn, and its sender waits for that. */
void pd_conn_wake_writer(struct pd_conn *conn);
/* @conn has sent something over TCP. TCP wakes its reader for SO_RCVLOWAT by its own
 * bytes alone: if frames before them are unread, any byte is enough from here on.
 */
void pd_conn_mix(struct pd_conn *conn);
/* Both, for whoever waits on @sk itself. */
void pd_conn_wake_all(struct sock *sk);

/* No more bytes for @conn, whose socket goes its own way from here. Returns how
 * many bytes nobody has read. The ULP stays. Any context.
 */
u32 pd_conn_detach(struct pd_conn *conn);

static inline bool pd_conn_is_detached(const struct pd_conn *conn)
{
	return !READ_ONCE(conn->sk);
}

#endif /* PD_CONN_H */
