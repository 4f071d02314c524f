/* SPDX-License-Identifier: GPL-2.0-only */
/* One direction of a connection: what its sender may know of its reader. */
#ifndef PD_DIRECTION_BPF_H
#define PD_DIRECTION_BPF_H

#include "compat.bpf.h"
#include "maps.bpf.h"
#include "uapi/pipedevice.h"

/* The direction goes over TCP for @reason. */
static __always_inline void note_reason(struct pd_conn *conn, __u32 reason)
{
	conn->reason = reason;
	count_reason(reason);
	emit(conn, PD_EVENT_DECLINE, reason);
}

/* The peer's entry was found: remember it. Caller: an end's own program, with
 * its socket locked.
 */
static __always_inline void pair(struct pd_conn *conn, const struct pd_end *end)
{
	conn->peer_sock = end->sock;
	conn->peer_cookie = end->cookie;
	conn->peer_cgroup_id = end->cgroup_id;
	/* The passive end knew both. */
	conn->generation = end->generation;
	conn->rule = end->rule;
	conn->state = PD_STATE_PAIRED;
	/* Both ends are moved by one engine: it was changed between the two. */
	if (conn->engine != end->engine) {
		conn->state = PD_STATE_RELEASED;
		note_reason(conn, PD_REASON_RELEASED);
		return;
	}
	/* Not write_seq, which a FIN moves, too. The module keeps the order whatever
	 * went over TCP before.
	 */
	if (conn->tcp_messages && conn->engine == PD_ENGINE_SOCKMAP)
		note_reason(conn, PD_REASON_RACED);
}

/* All that TCP has taken to send, by its own count. Caller: a program of the socket,
 * with its lock.
 */
static __always_inline __u64 taken_by_tcp(struct tcp_sock *tp)
{
	return tp->bytes_acked + (__u32)(tp->write_seq - tp->snd_una);
}

/* Likewise since it was @before, where the socket is not locked, without the FIN that it may
 * have sent. While an ACK comes in it may be too little for once.
 */
static __always_inline __u64 sent_over_tcp(struct tcp_sock *tp, __u64 before)
{
	__u8 state = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	__u64 acked = BPF_CORE_READ(tp, bytes_acked);
	__s32 queued = BPF_CORE_READ(tp, write_seq) - BPF_CORE_READ(tp, snd_una);
	/* Less than none: one that was sent after the first look has been acknowledged. */
	__u64 sent = acked + (queued > 0 ? queued : 0);

	if (state != BPF_TCP_ESTABLISHED && state != BPF_TCP_CLOSE_WAIT)
		before++;
	return sent > before ? sent - before : 0;
}

/* The psock of a socket in pd_socks, 0 if it has none. The lower bits of
 * sk_user_data are flags.
 */
static __always_inline __u64 psock_of(struct tcp_sock *tp)
{
	return (__u64)BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_user_data) & ~7ULL;
}

/* References on the psock of @tp: the map's, one of each task inside
 * tcp_bpf_sendmsg() or tcp_bpf_recvmsg(), one of each sender that queues to it
 * now. 0 if there is none.
 */
static __always_inline __u32 psock_refs(struct tcp_sock *tp)
{
	struct sk_psock *psock = (void *)psock_of(tp);

	return psock ? BPF_CORE_READ(psock, refcnt.refs.counter) : 0;
}

/* The queue of redirected messages of @tp is empty. */
static __always_inline int queue_is_empty(struct tcp_sock *tp)
{
	struct sk_psock *psock = (void *)psock_of(tp);
	struct list_head *head = __builtin_preserve_access_index(&psock->ingress_msg);

	return !psock || BPF_CORE_READ(head, next) == head;
}

/* Tasks asleep inside send() or recv() on a socket, as count_sleepers() returns
 * them: in_psock are where redirected bytes wake them, each with a reference on
 * the psock; in_tcp are inside tcp_recvmsg() or tcp_splice_read(), blind to
 * redirected bytes.
 */
#define SLEEPERS(in_psock, in_tcp) ((__u64)(in_psock) << 32 | (in_tcp))
#define SLEEPERS_IN_PSOCK(sleepers) ((__u32)((sleepers) >> 32))
#define SLEEPERS_IN_TCP(sleepers) ((__u32)(sleepers))

#define STACK_WORDS 32

/* A task that waits in the queue entry at @entry does so in sk_wait_data(), which
 * is where tcp_recvmsg() and tcp_splice_read() wait. The entry is a local
 * variable of the function that waits. Its callees' frames follow at lower
 * addresses, and the first of them begins with the address to return to, inside
 * that function: in sk_wait_data() or not. A task that is interrupted there has
 * left its instruction pointer at the same place. The upper bits are set again
 * that a signed return address (arm64) has lost.
 */
static __always_inline int waits_in_tcp(struct wait_queue_entry *entry)
{
	__u64 stack[STACK_WORDS], found = 0;
	int i;

	if (bpf_probe_read_kernel(stack, sizeof(stack), (void *)entry - sizeof(stack)))
		return 1;
	for (i = 0; i < STACK_WORDS; i++) {
		__u64 offset = (stack[i] | 0xffff000000000000ULL) - sk_wait_data_start;

		/* offset < length, without a branch for the verifier to follow */
		found |= ((offset - (sk_wait_data_end - sk_wait_data_start)) & ~offset) >> 63;
	}
	return found;
}

/* Who sleeps on the tcp_sock at address @sock. What is not known - a queue that is
 * longer than is looked at, a kernel that does not tell where its functions are -
 * counts as in_tcp. A global function, as walk_queue(): the verifier goes through
 * its loop once, and not once for each call; 6.1 would not take it otherwise.
 */
__weak __u64 count_sleepers(__u64 sock)
{
	struct tcp_sock *tp = (void *)sock;
	__u32 i, in_psock = 0, in_tcp = 0;
	struct list_head *head, *at;
	struct socket_wq *wq;

	wq = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_wq);
	if (!wq)
		return 0;
	head = __builtin_preserve_access_index(&wq->wait.head);
	at = BPF_CORE_READ(head, next);
	for (i = 0; i < 16; i++) {
		struct wait_queue_entry *entry = 0;
		__u64 func;

		if (!at || at == head)
			return SLEEPERS(in_psock, in_tcp);
		entry = (void *)at - bpf_core_field_offset(struct wait_queue_entry, entry);
		func = (__u64)BPF_CORE_READ(entry, func);
		if (!woken_wake_function || !sk_wait_data_start)
			in_tcp++;
		else if (func == woken_wake_function && waits_in_tcp(entry))
			in_tcp++;
		else if (func == woken_wake_function)
			in_psock++;
		at = BPF_CORE_READ(at, next);
	}
	return SLEEPERS(in_psock, in_tcp + 1);
}

#define WALK 1024 /* messages */
#define WALKED(messages, bytes) ((__u64)(messages) << 32 | (bytes))
#define WALKED_MESSAGES(walked) ((__u32)((walked) >> 32))
#define WALKED_BYTES(walked) ((__u32)(walked))
#define WALK_TOO_LONG (~0ULL)

/* Walk the queue of the tcp_sock at address @sock: its messages and their bytes.
 * WALK_TOO_LONG if there are more than WALK, or if the walk fell off the queue:
 * its reader frees messages meanwhile, and a freed one may read as anything. It
 * never misses a message, since only the other end adds to the queue, last.
 */
__weak __u64 walk_queue(__u64 sock)
{
	struct sk_psock *psock = (void *)psock_of((void *)sock);
	struct list_head *head, *at;
	__u32 i, bytes = 0;

	if (!psock)
		return 0;
	head = __builtin_preserve_access_index(&psock->ingress_msg);
	at = BPF_CORE_READ(head, next);
	for (i = 0; i < WALK; i++) {
		struct sk_msg *msg;

		if (at == head)
			return WALKED(i, bytes);
		if (!at)
			return WALK_TOO_LONG;
		msg = (void *)at - bpf_core_field_offset(struct sk_msg, list);
		bytes += BPF_CORE_READ(msg, sg.size);
		at = BPF_CORE_READ(at, next);
	}
	return WALK_TOO_LONG;
}

/* What the module knows of its socket @tp better than the verdict: a verdict is for
 * many messages, and one that is redirected may go over TCP in the end.
 */
static __always_inline void read_module_counters(struct pd_conn *conn, struct tcp_sock *tp,
						 struct pd_sock_info *info)
{
	void *data = (void *)BPF_CORE_READ(tp, inet_conn.icsk_ulp_data);

	__builtin_memset(info, 0, sizeof(*info));
	if (!data || !BPF_CORE_READ(tp, inet_conn.icsk_ulp_ops) ||
	    bpf_probe_read_kernel(info, sizeof(*info), data))
		return;
	conn->redirected_bytes = info->redirected_bytes;
	conn->redirected_messages = info->redirected_messages;
	conn->tcp_bytes = info->tcp_bytes;
	conn->tcp_messages = info->tcp_messages;
}

#endif /* PD_DIRECTION_BPF_H */
