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
	int peek_off; /* negative: it is not asked for */
};

static size_t room(const struct peek *peek)
{
	return peek->recv->len - peek->recv->copied - peek->copied;
}

static void go_forward(struct peek *peek, u32 bytes)
{
	peek->copied += bytes;
	if (peek->peek_off >= 0)
		sk_peek_offset_fwd(peek->recv->sk, bytes);
}

/* Those whose turn it is. False if memory of the caller's is not there. */
static bool look_at_frames(struct peek *peek)
{
	u32 want, n;

	while (peek->frame && peek->ready && room(peek) && !before(peek->end, peek->seq)) {
		if (peek->offset < peek->ready) {
			want = min_t(size_t, peek->ready - peek->offset, room(peek));
			n = pd_recv_copy_out(peek->recv, peek->frame,
					     peek->frame->taken + peek->offset, want);
			go_forward(peek, n);
			if (n < want)
				return false;
			peek->offset = 0;
		} else {
			peek->offset -= peek->ready;
		}
		peek->frame =
			pd_rbt_next(&peek->recv->conn->rbt, peek->frame, &peek->seq, &peek->ready);
	}
	return true;
}

/* TCP's bytes from number @from up to @to, which are behind a frame: TCP's own recvmsg has no way to
 * begin there. Not past the urgent byte.
 */
static int look_at_tcp(struct recv *recv, u32 from, u32 to, size_t most)
{
	struct sock *sk = recv->sk;
	struct tcp_sock *tp = tcp_sk(sk);
	struct sk_buff *skb;
	u32 seq, offset, n;
	int copied = 0;

	lock_sock(sk);
	if (tp->urg_data && !before(tp->urg_seq, from) && before(tp->urg_seq, to))
		to = tp->urg_seq;
	skb_queue_walk(&sk->sk_receive_queue, skb)
	{
		seq = TCP_SKB_CB(skb)->seq + !!(TCP_SKB_CB(skb)->tcp_flags & TCPHDR_SYN);
		if (from == to || copied == most || before(from, seq))
			break;
		offset = from - seq;
		if (offset >= skb->len)
			continue;
		n = min_t(size_t, min(skb->len - offset, to - from), most - copied);
		if (!(recv->flags & MSG_TRUNC) &&
		    skb_copy_datagram_msg(skb, offset, recv->msg, n)) {
			copied = copied ?: -EFAULT;
			break;
		}
		from += n;
		copied += n;
	}
	release_sock(sk);
	return copied;
}

int pd_recv_peek(struct recv *recv, struct pd_frame *frame, u32 seq, u32 ready)
{
	int peek_off = sk_peek_offset(recv->sk, MSG_PEEK), n;
	size_t offset = max(peek_off, 0), limit = pd_recv_tcp_limit(recv);
	struct peek peek = {
		.recv = recv,
		.frame = frame,
		.seq = seq,
		.ready = ready,
		.end = READ_ONCE(tcp_sk(recv->sk)->copied_seq) + limit,
		.offset = offset - min(offset, limit),
		.peek_off = peek_off,
	};
	u32 rcv_nxt, next;

	if (offset < limit && !skb_queue_empty_lockless(&recv->sk->sk_receive_queue)) {
		n = pd_recv_take_tcp(recv, limit - offset);
		if (n < 0 || n < limit - offset)
			return n;
		peek.copied = n;
	} else if (offset < limit) {
		recv->was_empty = true;
		return 0;
	}
	rcv_nxt = READ_ONCE(tcp_sk(recv->sk)->rcv_nxt);
	/* What was redirected before a byte that has come has been counted. */
	smp_rmb();
	for (;;) {
		if (!look_at_frames(&peek))
			return peek.copied ?: -EFAULT;
		next = peek.frame && before(peek.seq, rcv_nxt) ? peek.seq : rcv_nxt;
		/* What has been redirected meanwhile may come before what TCP has next. */
		if (!room(&peek) || !before(peek.end, next) ||
		    READ_ONCE(recv->conn->rbt.changes) != recv->changes)
			return peek.copied;
		if (peek.offset < next - peek.end) {
			n = look_at_tcp(recv, peek.end + peek.offset, next, room(&peek));
			if (n < 0)
				return peek.copied ?: n;
			go_forward(&peek, n);
			if (n < next - peek.end - peek.offset)
				return peek.copied;
			peek.offset = 0;
		} else {
			peek.offset -= next - peek.end;
		}
		peek.end = next;
	}
}
