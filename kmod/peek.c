// SPDX-License-Identifier: GPL-2.0-only
/* MSG_PEEK: frames and TCP's bytes in the order in which they were sent, as often as they take turns. */
#include <net/tcp.h>

#include "recv.h"

struct peek {
	struct recv *recv;
	struct pd_frame *frame; /* the next one, with */
	u32 seq, ready;
	u32 end; /* number of TCP's next byte */
	size_t offset; /* so many bytes are to be passed over */
	int copied;
	bool has_offset; /* SO_PEEK_OFF */
};

static size_t room(const struct peek *peek)
{
	return peek->recv->len - peek->recv->copied - peek->copied;
}

static void go_forward(struct peek *peek, u32 bytes)
{
	peek->copied += bytes;
	if (peek->has_offset)
		sk_peek_offset_fwd(peek->recv->sk, bytes);
}

static bool is_frames_turn(const struct peek *peek)
{
	return peek->frame && !before(peek->end, peek->seq);
}

/* Those whose turn it is. Returns 0, or -EFAULT if memory of the caller's is not there. */
static int look_at_frames(struct peek *peek)
{
	u32 want, n;

	while (is_frames_turn(peek) && peek->ready && room(peek)) {
		if (peek->offset < peek->ready) {
			want = min_t(size_t, peek->ready - peek->offset, room(peek));
			n = pd_recv_copy_out(peek->recv, peek->frame,
					     peek->frame->taken + peek->offset, want);
			go_forward(peek, n);
			if (n < want)
				return -EFAULT;
			peek->offset = 0;
		} else {
			peek->offset -= peek->ready;
		}
		peek->frame =
			pd_rbt_next(&peek->recv->conn->rbt, peek->frame, &peek->seq, &peek->ready);
	}
	return 0;
}

/* TCP's bytes up to @to that are behind a frame: its recvmsg has no way to begin there. As that does, stop
 * before the urgent byte, or pass over it if nothing was looked at before. Returns 0, -EFAULT.
 */
static int look_at_tcp(struct peek *peek, u32 to)
{
	struct recv *recv = peek->recv;
	struct sock *sk = recv->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff *skb;
	u32 seq, offset, n;
	int err = 0;

	if (peek->offset >= to - peek->end) {
		peek->offset -= to - peek->end;
		peek->end = to;
		return 0;
	}
	lock_sock(sk);
	peek->end += peek->offset;
	peek->offset = 0;
	if (tp->urg_data && !before(tp->urg_seq, peek->end) && before(tp->urg_seq, to)) {
		if (peek->copied || tp->urg_seq != peek->end)
			to = tp->urg_seq;
		else if (!sock_flag(sk, SOCK_URGINLINE))
			peek->end++;
	}
	skb_queue_walk(&sk->sk_receive_queue, skb)
	{
		seq = TCP_SKB_CB(skb)->seq + !!(TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN);
		if (peek->end == to || !room(peek) || before(peek->end, seq))
			break;
		offset = peek->end - seq;
		if (offset >= skb->len)
			continue;
		n = min_t(size_t, min(skb->len - offset, to - peek->end), room(peek));
		if (!(recv->flags & MSG_TRUNC) &&
		    skb_copy_datagram_msg(skb, offset, recv->msg, n)) {
			err = -EFAULT;
			break;
		}
		peek->end += n;
		go_forward(peek, n);
	}
	release_sock(sk);
	return err;
}

/* Does TCP's recvmsg pass over the byte with number @seq when it begins there? */
static bool is_hole(const struct sock *sk, u32 seq)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	return unlikely(READ_ONCE(tp->urg_data)) && READ_ONCE(tp->urg_seq) == seq &&
	       !sock_flag(sk, SOCK_URGINLINE);
}

/* TCP's first bytes, up to @to. TCP's own recvmsg moves SO_PEEK_OFF on. Returns 0, -errno. */
static int have_tcp_look(struct peek *peek, u32 to)
{
	struct recv *recv = peek->recv;
	u32 first = peek->end;
	bool hole;
	int n;

	if (peek->offset >= to - peek->end) {
		peek->offset -= to - peek->end;
		peek->end = to;
		return 0;
	}
	if (skb_queue_empty_lockless(&recv->sk->sk_receive_queue)) {
		recv->was_empty = true;
		return 0;
	}
	hole = is_hole(recv->sk, first + (u32)peek->offset);
	n = pd_recv_take_tcp(recv, to - first - peek->offset);
	if (n < 0)
		return n;
	peek->copied = n;
	/* It began elsewhere if somebody has read past us: then that was all. */
	if (READ_ONCE(tcp_sk(recv->sk)->copied_seq) != first)
		return 0;
	peek->end += peek->offset + n + hole;
	peek->offset = 0;
	/* What ended it before @to, ends who begins there. */
	return n && room(peek) && before(peek->end, to) ? look_at_tcp(peek, to) : 0;
}

static int take_turns(struct peek *peek)
{
	struct recv *recv = peek->recv;
	u32 to = peek->end + pd_recv_tcp_limit(recv), rcv_nxt;
	int err = have_tcp_look(peek, to);

	if (err || peek->end != to)
		return err;
	rcv_nxt = READ_ONCE(tcp_sk(recv->sk)->rcv_nxt);
	/* What was redirected before a byte that has come has been counted. */
	smp_rmb();
	for (;;) {
		err = look_at_frames(peek);
		to = peek->frame && before(peek->seq, rcv_nxt) ? peek->seq : rcv_nxt;
		/* What has been redirected meanwhile may come before what TCP has next. */
		if (err || !room(peek) || !before(peek->end, to) ||
		    READ_ONCE(recv->conn->rbt.changes) != recv->changes)
			return err;
		err = look_at_tcp(peek, to);
		if (err || peek->end != to)
			return err;
	}
}

int pd_recv_peek(struct recv *recv, struct pd_frame *frame, u32 seq, u32 ready)
{
	const struct tcp_sock *tp = tcp_sk(recv->sk);
	int peek_off = sk_peek_offset(recv->sk, MSG_PEEK), err;
	struct peek peek = {
		.recv = recv,
		.frame = frame,
		.seq = seq,
		.ready = ready,
		.end = READ_ONCE(tp->copied_seq),
		.offset = max(peek_off, 0),
		.has_offset = peek_off >= 0,
	};

	err = take_turns(&peek);
	/* Nothing is redirected behind the urgent byte. */
	recv->is_at_mark = peek.copied && unlikely(READ_ONCE(tp->urg_data)) &&
			   READ_ONCE(tp->urg_seq) == peek.end && !is_frames_turn(&peek) &&
			   READ_ONCE(recv->conn->rbt.changes) == recv->changes;
	recv->is_cut = err;
	return peek.copied ?: err;
}
