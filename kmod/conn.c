// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/slab.h>
#include <net/tcp.h>
#include <uapi/pipedevice.h>

#include "conn.h"
#include "sock_hook.h"
#include "stats.h"

struct workqueue_struct *pd_conn_work;

static struct kmem_cache *cache;

int pd_conn_init(void)
{
	BUILD_BUG_ON(offsetof(struct pd_conn, sent.tcp_messages) !=
		     offsetof(struct pd_sock_info, tcp_messages));
	BUILD_BUG_ON(offsetof(struct pd_conn, rbt.unread) != offsetof(struct pd_sock_info, unread));
	BUILD_BUG_ON(offsetof(struct pd_conn, rbt.held) != offsetof(struct pd_sock_info, held));
	cache = KMEM_CACHE(pd_conn, SLAB_ACCOUNT);
	if (!cache)
		return -ENOMEM;
	pd_conn_work = alloc_workqueue("pipedevice", WQ_UNBOUND, 0);
	if (!pd_conn_work) {
		kmem_cache_destroy(cache);
		return -ENOMEM;
	}
	return 0;
}

void pd_conn_exit(void)
{
	destroy_workqueue(pd_conn_work);
	/* Contexts that wait for a grace period. */
	rcu_barrier();
	kmem_cache_destroy(cache);
}

struct pd_conn *pd_conn_alloc(struct sock *sk, struct proto *tcp)
{
	struct pd_conn *conn;

	if (!try_module_get(THIS_MODULE))
		return NULL;
	conn = kmem_cache_zalloc(cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!conn) {
		module_put(THIS_MODULE);
		return NULL;
	}
	refcount_set(&conn->refs, 1);
	spin_lock_init(&conn->lock);
	mutex_init(&conn->read_mutex);
	pd_rbt_init(&conn->rbt);
	conn->sk = sk;
	conn->tcp = tcp;
	pd_stat_inc(PD_STAT_CURR_CONNS);
	return conn;
}

static void free_conn(struct rcu_head *rcu)
{
	struct pd_conn *conn = container_of(rcu, struct pd_conn, rcu);

	WARN_ON_ONCE(pd_rbt_has_frames(&conn->rbt));
	pd_pool_put(conn->pool);
	mutex_destroy(&conn->read_mutex);
	kmem_cache_free(cache, conn);
	pd_stat_add(PD_STAT_CURR_CONNS, -1);
	/* The end of this function is waited for by rcu_barrier() on exit. */
	module_put(THIS_MODULE);
}

void pd_conn_free(struct pd_conn *conn)
{
	call_rcu(&conn->rcu, free_conn);
}

/* ---- the two ends ------------------------------------------------------------ */

static void link_peer(struct pd_conn *conn, struct pd_conn *peer)
{
	spin_lock_bh(&conn->lock);
	if (conn->sk && !rcu_access_pointer(conn->peer)) {
		refcount_inc(&peer->refs);
		rcu_assign_pointer(conn->peer, peer);
	}
	spin_unlock_bh(&conn->lock);
}

void pd_conn_pair(struct pd_conn *conn, struct pd_conn *peer)
{
	if (unlikely(!rcu_access_pointer(conn->peer)))
		link_peer(conn, peer);
	if (unlikely(!rcu_access_pointer(peer->peer)))
		link_peer(peer, conn);
}

void pd_conn_wake_reader(struct sock *sk)
{
	/* Without sk_callback_lock: the socket is a user's, so this is sock_def_readable(), which
	 * looks under RCU for who waits.
	 */
	rcu_read_lock();
	if (!sock_flag(sk, SOCK_DEAD))
		sk->sk_data_ready(sk);
	rcu_read_unlock();
}

/* A sender that sleeps for room goes on although TCP's own queue is full, and
 * sk_write_space() says nothing then.
 */
static void wake_sleepers(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	rcu_read_unlock();
}

static void call_write_space(struct sock *sk)
{
	read_lock_bh(&sk->sk_callback_lock);
	if (!sock_flag(sk, SOCK_DEAD)) {
		sk->sk_write_space(sk);
		if (!sk_stream_is_writeable(sk))
			wake_sleepers(sk);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* The socket of the peer, with a reference, or NULL. */
static struct sock *get_peer_sk(struct pd_conn *conn)
{
	struct sock *sk = NULL;
	struct pd_conn *peer;

	rcu_read_lock();
	peer = rcu_dereference(conn->peer);
	if (peer) {
		spin_lock_bh(&peer->lock);
		sk = peer->sk;
		if (sk)
			sock_hold(sk);
		spin_unlock_bh(&peer->lock);
	}
	rcu_read_unlock();
	return sk;
}

void pd_conn_wake_writer(struct pd_conn *conn)
{
	struct sock *sk = get_peer_sk(conn);

	if (!sk)
		return;
	call_write_space(sk);
	sock_put(sk);
}

void pd_conn_mix(struct pd_conn *conn)
{
	struct pd_conn *peer;
	struct sock *sk;
	bool mixed;

	rcu_read_lock();
	peer = rcu_dereference(conn->peer);
	mixed = peer && pd_rbt_has_frames(&peer->rbt);
	if (mixed)
		WRITE_ONCE(peer->mixed, true);
	rcu_read_unlock();
	if (likely(!mixed))
		return;
	sk = get_peer_sk(conn);
	if (!sk)
		return;
	if (READ_ONCE(sk->sk_rcvlowat) > 1)
		pd_conn_wake_reader(sk);
	sock_put(sk);
}

void pd_conn_wake_all(struct sock *sk)
{
	pd_conn_wake_reader(sk);
	call_write_space(sk);
}

/* ---- the end ----------------------------------------------------------------- */

u32 pd_conn_detach(struct pd_conn *conn)
{
	u32 unread = pd_rbt_close(&conn->rbt);
	struct pd_conn *peer;

	/* A sender that waits for room sees that nobody reads any more. */
	if (xchg(&conn->rbt.blocked, false))
		pd_conn_wake_writer(conn);
	spin_lock_bh(&conn->lock);
	WRITE_ONCE(conn->sk, NULL);
	peer = rcu_dereference_protected(conn->peer, lockdep_is_held(&conn->lock));
	rcu_assign_pointer(conn->peer, NULL);
	spin_unlock_bh(&conn->lock);
	pd_conn_put(peer);
	return unread;
}
