// SPDX-License-Identifier: GPL-2.0-only
/* sk_msg: does this message go straight to the peer's receive queue, or over
 * TCP? Runs once for each chunk of a send() (up to some hundred KiB), in
 * process context, with the sender's socket locked.
 *
 * Order. The kernel's reader takes redirected bytes before any byte in its TCP
 * queue. So a message may be redirected only if no byte of this direction is
 * still on its way over TCP or unread: write_seq, which redirected bytes do not
 * move, equals settled_seq, up to which all is known to be read. At first that
 * is the first byte of the connection. Going over to TCP is safe at any time:
 * the reader drains what was redirected before it looks at the TCP queue. (It
 * does so on entry: a reader inside a recv(MSG_WAITALL) over TCP does not see
 * what another thread of the sender, with a verdict of before, queues meanwhile.)
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "direction.bpf.h"
#include "maps.bpf.h"

#define SEND_SHUTDOWN 2

char _license[] SEC("license") = "GPL";

/* Nobody is inside tcp_recvmsg() on the peer at this moment: it would own the
 * lock, or sleep in the queue. Between two reads bpf_ktime_get_ns() keeps their
 * order: x86 loads in order, and on arm64 the read barrier of the clock's
 * sequence count does.
 */
static __noinline int no_reader_inside(struct tcp_sock *peer)
{
	__u64 asleep;

	if (BPF_CORE_READ(peer, inet_conn.icsk_inet.sk.sk_lock.owned))
		return 0;
	bpf_ktime_get_ns();
	asleep = count_sleepers((__u64)peer);
	bpf_ktime_get_ns();
	return !SLEEPERS_IN_TCP(asleep);
}

/* May this direction come back from TCP? Every byte sent over TCP must have
 * been read, and no reader may be inside tcp_recvmsg(), where it would sleep
 * on the TCP queue and never see a redirected byte.
 *
 * The sender's lock is held, so this direction sends nothing meanwhile, and
 * copied_seq == write_seq means that nothing of it is on its way. A reader that
 * is inside tcp_recvmsg() now, having read all, is one that waits for more
 * (MSG_WAITALL, or another reader was quicker). It owns the lock, or has put
 * itself into the wait queue before it released the lock, and takes the lock
 * before it leaves the queue. To be missed by one look - lock, then queue - it
 * must be woken after the first read, and to be missed by all it must fall
 * asleep and be woken anew in step with each of them. But no data can wake it:
 * none comes. What else wakes it - a signal, an error, the end of the
 * connection, its timeout - makes it leave tcp_recvmsg(). What remains is a
 * wake-up for buffer space of another thread that sends on the reader's socket,
 * or one that sets SO_RCVLOWAT on it; a single one of these is found by the
 * next look. A reader that asks for SO_RCVLOWAT is left on TCP.
 *
 * The peer's memory is read through its address: it may have been freed, and
 * reads as anything then; that the cookie, read last, is still the peer's says
 * that it was the peer.
 */
static __noinline int tcp_is_drained(struct pd_conn *conn, __u32 write_seq)
{
	struct tcp_sock *peer;

	if (!conn)
		return 0;
	peer = (void *)conn->peer_sock;
	if (BPF_CORE_READ(peer, copied_seq) != write_seq)
		return 0;
	bpf_ktime_get_ns();
	if (BPF_CORE_READ(peer, inet_conn.icsk_inet.sk.sk_rcvlowat) > 1)
		return 0;
	if (!no_reader_inside(peer) || !no_reader_inside(peer) || !no_reader_inside(peer))
		return 0;
	if (BPF_CORE_READ(peer, inet_conn.icsk_inet.sk.sk_lock.owned))
		return 0;
	bpf_ktime_get_ns();
	if (BPF_CORE_READ(peer, copied_seq) != write_seq)
		return 0;
	return (__u64)BPF_CORE_READ(peer, inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter) ==
	       conn->peer_cookie;
}

/* TCP's memory, that of all sockets together, is above the first value of
 * net.ipv4.tcp_mem. Above the second the kernel may refuse to queue redirected
 * bytes, and send() gives ENOMEM where TCP would make the sender wait.
 */
static __always_inline int memory_is_short(struct tcp_sock *tp)
{
	struct proto *prot = tp->inet_conn.icsk_inet.sk.__sk_common.skc_prot;
	long low = 0;

	if (bpf_probe_read_kernel(&low, sizeof(low), prot->sysctl_mem))
		return 0;
	return prot->memory_allocated->counter > low;
}

/* What is unread at the peer, as memory: bytes, and the cost of each message. */
static __noinline __u32 held_by(struct pd_conn *conn)
{
	__u64 walked;

	if (!conn)
		return bound_bytes;
	walked = walk_queue(conn->peer_sock);
	if (walked == WALK_TOO_LONG)
		return bound_bytes;
	return WALKED_BYTES(walked) + WALKED_MESSAGES(walked) * PD_MESSAGE_COST;
}

/* Is there room for @size more unread bytes? Only this sender adds to them, so
 * what was free when the peer was last looked at may be used up without looking
 * again. A single message may pass the bound if nothing else is unread.
 */
static __always_inline int has_room(struct pd_conn *conn, __u32 size)
{
	__u32 cost = size + PD_MESSAGE_COST, held;

	if (cost <= conn->credit) {
		conn->credit -= cost;
		return 1;
	}
	conn->credit = 0;
	held = held_by(conn);
	if (held && (held >= bound_bytes || cost > bound_bytes - held))
		return 0;
	if (cost < bound_bytes)
		conn->credit = bound_bytes - held - cost;
	return 1;
}

/* May this message be redirected? */
static __always_inline int may_redirect(struct pd_conn *conn, struct tcp_sock *tp, __u32 size)
{
	__u32 write_seq = tp->write_seq;
	struct pd_control *ctl = control();

	if (!ctl)
		return 0;
	if (conn->state == PD_STATE_CANDIDATE) {
		struct pd_key peer = peer_of(&conn->key);
		struct pd_end *end = bpf_map_lookup_elem(&pd_ends, &peer);

		if (!end)
			return 0;
		pair(conn, end);
	}
	if (conn->state != PD_STATE_PAIRED)
		return 0;
	if (conn->epoch != *(volatile __u32 *)&ctl->epoch) {
		conn->state = PD_STATE_RELEASED;
		note_reason(conn, PD_REASON_RELEASED);
		return 0;
	}
	/* TCP answers EPIPE. */
	if (tp->inet_conn.icsk_inet.sk.sk_shutdown & SEND_SHUTDOWN)
		return 0;
	/* The module keeps order and bounds itself. */
	if (conn->engine != PD_ENGINE_SOCKMAP)
		return 1;
	/* kTLS: what is sent here is plaintext that TCP has to encrypt. The
	 * guard program keeps it from sockets that are enrolled.
	 */
	if (tp->inet_conn.icsk_ulp_ops)
		return 0;
	if (write_seq != conn->settled_seq) {
		if (!tcp_is_drained(conn, write_seq))
			return 0;
		conn->settled_seq = write_seq;
		conn->credit = 0;
		conn->reason = PD_REASON_NONE;
		if (conn->tcp_messages)
			conn->returns++;
	}
	if (memory_is_short(tp) || !has_room(conn, size)) {
		conn->reason = PD_REASON_OVERFLOW;
		count_reason(PD_REASON_OVERFLOW);
		/* As it is said once that it is accelerated: a reader that is slower than
		 * its sender lets this happen a thousand times a second.
		 */
		if (!conn->overflows++)
			emit(conn, PD_EVENT_DECLINE, PD_REASON_OVERFLOW);
		return 0;
	}
	return 1;
}

/* The module is asked for a verdict and keeps it for so many bytes: only a
 * socket that leaves pd_socks, which ends it, makes it change.
 */
#define MODULE_BYTES (16U << 20)

static __noinline int verdict_for_module(struct sk_msg_md *msg, struct pd_conn *conn,
					 struct tcp_sock *tp)
{
	struct pd_sock_info info;
	struct pd_key peer;

	if (!conn || !tp)
		return 0;
	/* The module shows no payload: this is the kernel's own sendmsg(), begun before
	 * the module was attached.
	 */
	if (msg->data != msg->data_end)
		return 0;
	read_module_counters(conn, tp, &info);
	peer = peer_of(&conn->key);
	if (bpf_msg_redirect_hash(msg, &pd_socks, &peer, BPF_F_INGRESS) != SK_PASS)
		return 0;
	bpf_msg_apply_bytes(msg, MODULE_BYTES);
	if (conn->path != PD_PATH_REDIRECTED) {
		conn->path = PD_PATH_REDIRECTED;
		emit(conn, PD_EVENT_ACCELERATE, PD_REASON_NONE);
	}
	return 1;
}

SEC("sk_msg")
int verdict(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct tcp_sock *tp;
	struct pd_conn *conn;
	struct pd_key peer;
	__u32 size = msg->size;

	if (!sk)
		return SK_PASS;
	conn = bpf_sk_storage_get(&pd_conns, sk, 0, 0);
	if (!conn)
		return SK_PASS;
	tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return SK_PASS;
	if (may_redirect(conn, tp, size)) {
		if (conn->engine > PD_ENGINE_SOCKMAP) {
			verdict_for_module(msg, conn, tp);
			return SK_PASS;
		}
		peer = peer_of(&conn->key);
		/* SK_DROP here means that the peer has gone: TCP then says
		 * what there is to say.
		 */
		if (bpf_msg_redirect_hash(msg, &pd_socks, &peer, BPF_F_INGRESS) == SK_PASS) {
			if (conn->path != PD_PATH_REDIRECTED) {
				conn->path = PD_PATH_REDIRECTED;
				if (!conn->redirected_bytes)
					emit(conn, PD_EVENT_ACCELERATE, PD_REASON_NONE);
			}
			conn->redirected_bytes += size;
			conn->redirected_messages++;
			return SK_PASS;
		}
	}
	/* The module counts what goes over TCP. */
	if (conn->engine > PD_ENGINE_SOCKMAP)
		return SK_PASS;
	/* Refused with EPIPE: these bytes go nowhere. */
	if (tp->inet_conn.icsk_inet.sk.sk_shutdown & SEND_SHUTDOWN)
		return SK_PASS;
	conn->path = PD_PATH_TCP;
	conn->tcp_bytes = taken_by_tcp(tp) - conn->tcp_before + size;
	conn->tcp_messages++;
	return SK_PASS;
}
