// SPDX-License-Identifier: GPL-2.0-only
/* The iterator behind `pdload conns`: one struct pd_conn_record for each socket
 * that has a pd_conn.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "direction.bpf.h"
#include "maps.bpf.h"

char _license[] SEC("license") = "GPL";

SEC("iter/bpf_sk_storage_map")
int inspect_conns(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct {
		__u64 netns_cookie;
		__u32 tcp_state;
		__u32 in_sockmap;
		__u32 unread;
		__u32 queue_empty;
		__u32 psock_refs;
		__u32 sleepers;
		__u32 locked;
		__u32 released;
		__u32 attached;
		__u32 pad;
	} now = {};
	struct tcp_sock *tp = (void *)ctx->sk;
	struct pd_conn *conn = ctx->value;
	struct pd_control *ctl = control();
	__u64 before, after, sock = 0;
	struct sk_psock *psock;

	_Static_assert(sizeof(now) == sizeof(struct pd_conn_record) - sizeof(struct pd_conn),
		       "the tail of struct pd_conn_record");
	if (!tp || !conn)
		return 0;
	now.netns_cookie =
		BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_net.net, ns.inum);
	now.tcp_state = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	now.queue_empty = 1;
	now.locked = BPF_CORE_READ(tp, inet_conn.icsk_inet.sk.sk_lock.owned) != 0;
	now.released = ctl && conn->epoch != ctl->epoch && conn->state != PD_STATE_DECLINED;
	now.attached = conn->engine > PD_ENGINE_SOCKMAP &&
		       BPF_CORE_READ(tp, inet_conn.icsk_ulp_ops);
	psock = (void *)psock_of(tp);
	/* Once it is out of pd_socks no verdict counts it, nor tells one that has sent
	 * nothing since that it is released.
	 */
	if (!now.attached && (conn->state == PD_STATE_RELEASED ||
			      (now.released && !psock && conn->state != PD_STATE_CLOSED)))
		conn->tcp_bytes = sent_over_tcp(tp, conn->tcp_before);
	if (conn->engine > PD_ENGINE_SOCKMAP) {
		struct pd_sock_info info;

		/* Only copies: whoever reads them anew writes the same. */
		read_module_counters(conn, tp, &info);
		now.in_sockmap = psock != 0;
		now.unread = info.unread;
		now.queue_empty = !info.held;
	} else if (psock && conn->state != PD_STATE_DECLINED) {
		/* A pointer is no number to the verifier; its copy is. */
		bpf_probe_read_kernel(&sock, sizeof(sock), &tp);
		/* Sleepers on both sides of the count: see release in pdload. */
		before = count_sleepers(sock);
		bpf_ktime_get_ns();
		now.psock_refs = psock_refs(tp);
		bpf_ktime_get_ns();
		after = count_sleepers(sock);
		now.sleepers = SLEEPERS_IN_PSOCK(before);
		if (before != after)
			now.psock_refs = 0;
		now.in_sockmap = 1;
		now.queue_empty = queue_is_empty(tp);
		if (bpf_core_field_exists(psock->msg_tot_len)) {
			now.unread = BPF_CORE_READ(psock, msg_tot_len);
		} else {
			__u64 walked = walk_queue(sock);

			now.unread = walked == WALK_TOO_LONG ? bound_bytes : WALKED_BYTES(walked);
		}
	}
	bpf_seq_write(ctx->meta->seq, conn, sizeof(*conn));
	bpf_seq_write(ctx->meta->seq, &now, sizeof(now));
	return 0;
}
