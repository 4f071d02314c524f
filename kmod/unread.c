// SPDX-License-Identifier: GPL-2.0-only
/* How much there is to read, of what came over TCP and what was redirected: for poll(),
 * SO_RCVLOWAT and TCP_INQ.
 */
#include <net/tcp.h>

#include "sock_hook.h"

bool pd_has_ended(const struct sock *sk)
{
	return READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ||
	       READ_ONCE(sk->sk_state) == TCP_CLOSE || sock_flag(sk, SOCK_DONE);
}

int pd_unread(struct sock *sk, struct pd_conn *conn)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	int in_tcp = READ_ONCE(tp->rcv_nxt) - READ_ONCE(tp->copied_seq);

	/* The FIN has a sequence number, too. */
	if (in_tcp > 0 && sock_flag(sk, SOCK_DONE))
		in_tcp--;
	return (int)READ_ONCE(conn->rbt.unread) + max(in_tcp, 0);
}

bool pd_has_enough(struct sock *sk, struct pd_conn *conn)
{
	if (likely(READ_ONCE(sk->sk_rcvlowat) <= 1))
		return true;
	/* Pairs with set_rcvlowat(): a sender sees the lower one, or that sees its bytes. */
	smp_mb();
	return pd_unread(sk, conn) >= READ_ONCE(sk->sk_rcvlowat) || READ_ONCE(conn->mixed) ||
	       !pd_rbt_has_room(&conn->rbt) || pd_has_ended(sk);
}

bool pd_sock_is_readable(struct sock *sk)
{
	struct pd_conn *conn;
	bool readable = false;
	u32 seq, ready;

	rcu_read_lock();
	conn = pd_conn_of(sk);
	if (conn) {
		pd_sock_hook_ops(sk, conn);
		/* What comes before the first frame is here, too: one after the other. */
		readable = pd_rbt_first(&conn->rbt, &seq, &ready) && ready &&
			   !before(READ_ONCE(tcp_sk(sk)->rcv_nxt), seq) && pd_has_enough(sk, conn);
	}
	rcu_read_unlock();
	return readable;
}
