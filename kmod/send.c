// SPDX-License-Identifier: GPL-2.0-only
/* sendmsg(): the sk_msg program says where a message goes, this file takes it there.
 *
 * All of it runs with the sender's socket locked, as in TCP, but for the waits:
 * so the bytes of one socket are ordered by its lock, and tp->write_seq says how
 * many of them went over TCP before.
 */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/skmsg.h>
#include <net/tcp.h>

#include "engine.h"
#include "send_dma.h"
#include "sock_hook.h"
#include "stats.h"

/* For tests of the order between TCP and redirected messages. */
static unsigned int over_tcp;
module_param(over_tcp, uint, 0644);
MODULE_PARM_DESC(over_tcp, "percentage of messages, at random, that go over TCP (default: 0)");

/* One call. */
struct send {
	struct sock *sk;
	struct pd_conn *conn;
	struct msghdr *msg;
	long timeo;
	/* the reader, if the message is redirected */
	struct sock *peer_sk; /* the psock has a reference while sk is locked */
	struct pd_conn *peer; /* conn has one, likewise */
	bool is_held; /* we have references on both, too */
	bool is_not_ready; /* it has not called recv() or poll() yet */
	u64 dma_bytes; /* of this part */
	bool is_gone; /* it takes nothing more, or there is no memory: TCP's turn */
};

/* What is sent over TCP to such a reader before it is looked at again. */
#define NOT_READY_BYTES (64 << 10)

/* Errors of the socket are TCP's to report. */
static bool has_failed(const struct sock *sk)
{
	return sk->sk_err || sk->sk_shutdown & SEND_SHUTDOWN;
}

/* What only TCP does, does it in stream order. */
static bool is_for_tcp(struct sock *sk, struct pd_conn *conn, const struct msghdr *msg)
{
	struct tcp_sock *tp = tcp_sk(sk);

	/* It may have waited for the lock since another connection. */
	if (unlikely(pd_conn_is_detached(conn)))
		return true;
	if (msg->msg_flags & MSG_OOB)
		conn->sent_urgent = true;
	/* The mark has a place in TCP's numbers alone. */
	if (conn->sent_urgent || msg->msg_flags & (MSG_FASTOPEN | MSG_ZEROCOPY))
		return true;
	/* Times of departure and of the ACK: it departs nowhere and nobody acknowledges it. */
	if (msg->msg_controllen || READ_ONCE(sk->sk_tsflags) & SOF_TIMESTAMPING_TX_RECORD_MASK)
		return true;
	if (has_failed(sk) || tp->repair)
		return true;
	if ((1 << sk->sk_state) & ~(TCPF_ESTABLISHED | TCPF_CLOSE_WAIT))
		return true;
	/* Bytes that TCP holds back, for MSG_MORE or by Nagle's rule: the next ones
	 * move them on, or the reader would wait for them.
	 */
	if (READ_ONCE(tp->write_seq) != tp->snd_nxt) {
		pd_stat_inc(PD_STAT_TCP_UNSENT);
		return true;
	}
	return false;
}

/* A reader that asks for what the module does not give, exactly as TCP does: a wait for
 * SO_RCVLOWAT that both ways end together, RST to what comes after SHUT_RD and SHUT_WR.
 */
static bool reader_needs_tcp(const struct sock *sk, const struct pd_conn *conn)
{
	return !READ_ONCE(conn->spliceable) || READ_ONCE(conn->tcp_only) ||
	       tcp_sk(sk)->recvmsg_inq || sock_flag(sk, SOCK_RCVTSTAMP) ||
	       READ_ONCE(sk->sk_tsflags) || READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ||
	       (READ_ONCE(sk->sk_rcvlowat) > 1 && !pd_rbt_has_frames(&conn->rbt));
}

/* How much may be unread at the peer: about what TCP would hold for the two of
 * them, in the reader's and in the sender's buffer.
 */
static u32 limit_of(const struct sock *reader, const struct sock *sender)
{
	struct net *net = sock_net(reader);
	u32 limit = 0;

	if (reader->sk_userlocks & SOCK_RCVBUF_LOCK)
		limit += READ_ONCE(reader->sk_rcvbuf);
	else
		limit += max_t(u32, READ_ONCE(reader->sk_rcvbuf),
			       READ_ONCE(net->ipv4.sysctl_tcp_rmem[2]) / 2);
	if (sender->sk_userlocks & SOCK_SNDBUF_LOCK)
		limit += READ_ONCE(sender->sk_sndbuf);
	else
		limit += max_t(u32, min_t(u32, READ_ONCE(sender->sk_sndbuf), 1 << 20),
			       READ_ONCE(sock_net(sender)->ipv4.sysctl_tcp_wmem[2]) / 4);
	return limit;
}

static struct pd_pool *pool_of(struct pd_conn *peer, struct sock *peer_sk, gfp_t gfp)
{
	struct mem_cgroup *memcg = pd_sock_memcg(peer_sk);

	/* A socket gets its cgroup when it is accepted. */
	if (likely(peer->pool && pd_pool_is_of(peer->pool, memcg)))
		return peer->pool;
	pd_pool_put(peer->pool);
	peer->pool = pd_pool_get(memcg, gfp);
	return peer->pool;
}

/* Metadata alone: the start bit in copy says that the payload is not there. Not inlined:
 * kernels may clear all of a function's variables when it is entered.
 */
static noinline int ask_program(struct sock *sk, struct sk_psock *psock, size_t size)
{
	struct sk_msg msg;

	sk_msg_init(&msg);
	msg.sg.size = min_t(size_t, size, U32_MAX / 2);
	__set_bit(msg.sg.start, msg.sg.copy);
	return sk_psock_msg_verdict(sk, psock, &msg);
}

static void hold_peer(struct send *send)
{
	if (send->is_held)
		return;
	sock_hold(send->peer_sk);
	refcount_inc(&send->peer->refs);
	send->is_held = true;
}

static __always_inline void forget_peer(struct send *send)
{
	if (unlikely(send->is_held)) {
		sock_put(send->peer_sk);
		pd_conn_put(send->peer);
	}
	send->peer = NULL;
	send->is_held = false;
}

/* The message goes to @sk, if that is one of ours. */
static bool find_peer(struct send *send, struct sock *sk)
{
	struct pd_conn *peer;

	send->peer_sk = sk;
	rcu_read_lock();
	peer = pd_conn_of(sk);
	/* Ours keeps the one that it is paired with. */
	if (peer && likely(rcu_access_pointer(send->conn->peer) == peer)) {
		send->peer = peer;
	} else if (peer && refcount_inc_not_zero(&peer->refs)) {
		sock_hold(sk);
		send->peer = peer;
		send->is_held = true;
	}
	rcu_read_unlock();
	return send->peer;
}

/* Ask the program, unless what it said before still holds. 1 if the message is
 * redirected to another of our sockets: then send->peer_sk and send->peer are set.
 * 0: over TCP. -EACCES: another agent's program says drop.
 */
static int ask(struct send *send, struct sk_psock *psock, size_t size)
{
	int verdict = __SK_REDIRECT;

	if (!psock->apply_bytes || !psock->sk_redir)
		verdict = ask_program(send->sk, psock, size);
	if (verdict == __SK_DROP)
		return -EACCES;
	if (verdict != __SK_REDIRECT || !psock->redir_ingress)
		return 0;
	if (unlikely(READ_ONCE(over_tcp)) && get_random_u32() % 100 < READ_ONCE(over_tcp))
		return 0;
	forget_peer(send);
	if (!find_peer(send, psock->sk_redir)) {
		pd_stat_inc(PD_STAT_TCP_PEER_GONE);
		return 0;
	}
	if (reader_needs_tcp(psock->sk_redir, send->peer)) {
		send->is_not_ready = !READ_ONCE(send->peer->spliceable);
		pd_stat_inc(PD_STAT_TCP_READER);
		forget_peer(send);
		return 0;
	}
	return 1;
}

/* The program is asked anew unless it has said how far its verdict reaches. */
static void end_verdict(struct sk_psock *psock, size_t sent)
{
	sk_msg_apply_bytes(psock, sent);
	if (!psock->apply_bytes && psock->sk_redir) {
		sock_put(psock->sk_redir);
		psock->sk_redir = NULL;
	}
}

/* At most @size bytes of the message. */
static int send_over_tcp(struct send *send, size_t size)
{
	struct iov_iter *iter = &send->msg->msg_iter;
	size_t beyond = iov_iter_count(iter) - min(size, iov_iter_count(iter));
	int sent;

	/* TCP goes by the iterator. */
	iov_iter_truncate(iter, size);
	send->conn->in_tcp_send++;
	sent = tcp_sendmsg_locked(send->sk, send->msg, size);
	send->conn->in_tcp_send--;
	if (sent > 0) {
		send->conn->sent.tcp_bytes += sent;
		send->conn->sent.tcp_messages++;
		pd_conn_mix(send->conn);
	}
	iov_iter_reexpand(iter, iov_iter_count(iter) + beyond);
	return sent;
}

/* The reader's buffer is full: wait, as for a full TCP send buffer. The socket is
 * locked on entry and on return.
 */
static int wait_for_room(struct send *send)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	struct pd_rbt *rbt = &send->peer->rbt;
	struct sock *sk = send->sk;
	int err = 0;

	pd_stat_inc(PD_STAT_FULL);
	hold_peer(send);
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	add_wait_queue(sk_sleep(sk), &wait);
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	pd_rbt_wants_room(rbt);
	if (pd_rbt_has_room(rbt))
		goto out;
	if (!send->timeo) {
		err = -EAGAIN;
		goto out;
	}
	if (signal_pending(current)) {
		err = sock_intr_errno(send->timeo);
		goto out;
	}
	if (sk_wait_event(sk, &send->timeo, has_failed(sk) || rbt->closed || pd_rbt_has_room(rbt),
			  &wait) < 0 ||
	    has_failed(sk))
		err = -EPIPE;
out:
	remove_wait_queue(sk_sleep(sk), &wait);
	return err;
}

/* Copy up to @left bytes straight into the memory of a reader that waits and has read
 * everything before them. Returns how many: a page of the caller's that is not there
 * ends it, as the reader cannot go on meanwhile.
 */
static u32 fill_window(struct send *send, size_t left)
{
	struct pd_rbt *rbt = &send->peer->rbt;
	struct pd_window *window = pd_rbt_claim_window(rbt);
	u32 filled = 0;

	if (likely(!window))
		return 0;
	if (!before(READ_ONCE(tcp_sk(send->peer_sk)->copied_seq),
		    READ_ONCE(tcp_sk(send->sk)->write_seq)) &&
	    !pd_window_has(window, &send->msg->msg_iter))
		filled = pd_engine_cpu_fill_window(window, &send->msg->msg_iter,
						   min_t(size_t, left, U32_MAX));
	pd_rbt_put_window(rbt, window, filled);
	if (filled) {
		pd_stat_add(PD_STAT_CPU_DIRECT_BYTES, filled);
		pd_conn_wake_reader(send->peer_sk);
	}
	return filled;
}

/* Returns how many bytes, 0 if it is the CPU's turn, or what pd_rbt_reserve() says. */
static noinline int fill_by_dma(struct send *send, size_t left)
{
	struct pd_dma_send dma = {
		.reader = send->peer_sk,
		.peer = send->peer,
		.pool = pool_of(send->peer, send->peer_sk, send->sk->sk_allocation),
		.seq = READ_ONCE(tcp_sk(send->sk)->write_seq),
		.gfp = send->sk->sk_allocation,
		.rest = &send->conn->send_rest,
	};
	int sent;

	if (!dma.pool)
		return 0;
	sent = pd_send_by_dma(&dma, &send->msg->msg_iter, min_t(size_t, left, INT_MAX));
	send->dma_bytes += dma.dma_bytes;
	return sent;
}

/* Copy up to @left bytes into the next stretch of the reader's buffer. Returns how
 * many, or what pd_rbt_reserve() says, or -EFAULT.
 */
static int fill(struct send *send, size_t left)
{
	struct pd_rbt *rbt = &send->peer->rbt;
	struct pd_pool *pool;
	struct pd_frame *frame;
	u32 room, filled;
	int err;

	if (unlikely(READ_ONCE(send->peer->mixed)) && !pd_rbt_has_frames(rbt))
		WRITE_ONCE(send->peer->mixed, false);
	if (pd_dma_pays(left, &send->conn->send_rest)) {
		err = fill_by_dma(send, left);
		if (err)
			return err;
	}
	filled = fill_window(send, left);
	if (filled)
		return filled;
	pool = pool_of(send->peer, send->peer_sk, send->sk->sk_allocation);
	if (!pool)
		return -ENOMEM;
	frame = pd_rbt_reserve(rbt, pool, READ_ONCE(tcp_sk(send->sk)->write_seq), left,
			       send->sk->sk_allocation, &room);
	if (IS_ERR(frame))
		return PTR_ERR(frame);
	filled = pd_engine_cpu_fill(frame, &send->msg->msg_iter, room);
	err = pd_rbt_publish(rbt, frame, room, filled);
	if (pd_has_enough(send->peer_sk, send->peer))
		pd_conn_wake_reader(send->peer_sk);
	/* The frame that another thread of ours waits for may be the one that has gone. */
	if (!filled && pd_rbt_take_wish(rbt))
		pd_conn_wake_writer(send->peer);
	if (err) {
		iov_iter_revert(&send->msg->msg_iter, filled);
		return err;
	}
	return filled ?: -EFAULT;
}

/* Returns how many bytes the reader's buffer took; what is left after -EPIPE (no
 * reader) or -ENOMEM is for TCP.
 */
static size_t redirect(struct send *send, size_t size, int *err)
{
	size_t sent = 0;
	int n;

	send->dma_bytes = 0;
	pd_conn_pair(send->conn, send->peer);
	/* One producer for each buffer: another agent's program may name a stranger, and
	 * a socket may have been connected anew meanwhile.
	 */
	if (rcu_access_pointer(send->peer->peer) != send->conn) {
		*err = -EPIPE;
		send->is_gone = true;
		return 0;
	}
	/* An empty buffer takes a page whatever the limit is. */
	if (size >= PD_FRAME_SMALL || pd_rbt_has_frames(&send->peer->rbt))
		send->peer->rbt.limit = limit_of(send->peer_sk, send->sk);
	*err = 0;
	while (sent < size) {
		n = fill(send, size - sent);
		if (n > 0) {
			sent += n;
			continue;
		}
		*err = n;
		if (n != -EAGAIN) {
			send->is_gone = n == -EPIPE || n == -ENOMEM;
			break;
		}
		*err = wait_for_room(send);
		if (*err)
			break;
		/* Another thread may have sent meanwhile what makes the rest TCP's. */
		if (unlikely(is_for_tcp(send->sk, send->conn, send->msg))) {
			*err = -EPIPE;
			send->is_gone = true;
			break;
		}
	}
	if (sent) {
		send->conn->sent.redirected_bytes += sent;
		send->conn->sent.redirected_messages++;
		pd_stat_add(PD_STAT_CPU_BYTES, sent - send->dma_bytes);
		pd_stat_inc(PD_STAT_CPU_MESSAGES);
		if (send->dma_bytes)
			pd_stat_add(PD_STAT_DMA_BYTES, send->dma_bytes);
	}
	return sent;
}

/* What is left of the message, up to what one verdict decides. Returns how many
 * bytes were sent, -errno if none.
 */
static int send_part(struct send *send, size_t size)
{
	struct sk_psock *psock = NULL;
	size_t sent = 0, rest;
	int err = 0, n;

	if (size && !is_for_tcp(send->sk, send->conn, send->msg))
		psock = sk_psock_get(send->sk);
	if (!psock)
		return send_over_tcp(send, size);
	err = ask(send, psock, size);
	if (err > 0)
		sent = redirect(send, size, &err);
	else if (!err)
		send->is_gone = true; /* not redirected */
	/* What nobody takes is TCP's to send, but an error of the socket is for the next
	 * call if this one has sent something. A reader that does not take it yet may do
	 * so after a while.
	 */
	if (send->is_gone && !(sent && has_failed(send->sk))) {
		rest = size - sent;
		if (err == -ENOMEM)
			pd_stat_inc(PD_STAT_TCP_NO_MEMORY);
		if (send->is_not_ready)
			rest = min_t(size_t, rest, NOT_READY_BYTES);
		n = send_over_tcp(send, rest);
		if (n > 0)
			sent += n;
		else if (!sent)
			err = n;
	} else if (!sent) {
		err = sk_stream_error(send->sk, send->msg->msg_flags, err);
	}
	end_verdict(psock, sent);
	sk_psock_put(send->sk, psock);
	return sent ?: err;
}

static int send_locked(struct send *send, size_t size)
{
	size_t sent = 0;
	int n;

	do {
		send->is_not_ready = false;
		send->is_gone = false;
		n = send_part(send, size - sent);
		if (n > 0)
			sent += n;
		/* Anything else that was cut short has its reason. */
	} while (n == NOT_READY_BYTES && send->is_not_ready && sent < size &&
		 !has_failed(send->sk));
	return sent ?: n;
}

int pd_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)
{
	struct send send = { .sk = sk, .msg = msg, .conn = pd_conn_get(sk) };
	int sent;

	if (!send.conn) {
		sent = pd_bypass_begin(sk)->sendmsg(sk, msg, size);
		pd_bypass_end();
		return sent;
	}
	lock_sock(sk);
	send.timeo = sock_sndtimeo(sk, msg->msg_flags & MSG_DONTWAIT);
	sent = send_locked(&send, size);
	forget_peer(&send);
	release_sock(sk);
	pd_conn_put(send.conn);
	return sent;
}
