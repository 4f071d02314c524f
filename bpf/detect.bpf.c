// SPDX-License-Identifier: GPL-2.0-only
/* sockops: which connections have both ends on this host, what the policy says
 * of them, and their enrolment in pd_socks. DESIGN: pairing by the two initial
 * sequence numbers.
 *
 * The order of things for one connection:
 *   active end   ACTIVE_ESTABLISHED   leaves a note; if the policy may accept,
 *                                     enters pd_socks as a candidate
 *   passive end  PASSIVE_ESTABLISHED  finds the note or is left alone; judges;
 *                                     enters pd_socks; publishes both ends
 *   active end   first RTT_CB         its first byte has been acknowledged, so
 *                                     the passive end has had its turn: paired,
 *                                     or out of pd_socks again, or, if the peer
 *                                     has come and gone, released
 * Each runs with its socket locked (or owned by the task it runs in), so the
 * socket's pd_conn is written by one of them at a time.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "context.bpf.h"
#include "maps.bpf.h"
#include "direction.bpf.h"
#include "policy.bpf.h"

#define EBUSY 16
#define ENOMEM 12
#define E2BIG 7
#define TCP_ESTABLISHED 1
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8

char _license[] SEC("license") = "GPL";

static __always_inline struct tcp_sock *tcp_sock_of(struct bpf_sock_ops *skops)
{
	struct bpf_sock *sk = skops->sk;

	if (!sk)
		return 0;
	return (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
}

static __always_inline struct pd_conn *conn_of(struct bpf_sock_ops *skops, __u64 flags)
{
	struct bpf_sock *sk = skops->sk;

	if (!sk)
		return 0;
	return bpf_sk_storage_get(&pd_conns, sk, 0, flags);
}

/* What keeps a socket on TCP whatever the policy says. */
static __always_inline __u32 unsuitable(struct tcp_sock *tp)
{
	if (is_mptcp_subflow(tp))
		return PD_REASON_MPTCP;
	if (BPF_CORE_READ(tp, inet_conn.icsk_ulp_ops))
		return PD_REASON_ULP;
	return PD_REASON_NONE;
}

static __always_inline __u32 reason_of(int err)
{
	switch (err) {
	case -EBUSY:
		return PD_REASON_BUSY;
	case -E2BIG:
		return PD_REASON_MAP_FULL;
	case -ENOMEM:
		return PD_REASON_NO_MEMORY;
	default:
		return PD_REASON_REFUSED;
	}
}

/* Other agents' callbacks on the same socket stay as they are. */
static __always_inline void add_callbacks(struct bpf_sock_ops *skops, __u32 flags)
{
	bpf_sock_ops_cb_flags_set(skops, read_field(skops, bpf_sock_ops_cb_flags) | flags);
}

static __always_inline void drop_rtt_callback(struct bpf_sock_ops *skops)
{
	bpf_sock_ops_cb_flags_set(skops, read_field(skops, bpf_sock_ops_cb_flags) &
						 ~BPF_SOCK_OPS_RTT_CB_FLAG);
}

static __always_inline void init_conn(struct pd_conn *conn, struct bpf_sock_ops *skops,
				      struct tcp_sock *tp, const struct pd_key *key,
				      __u64 cgroup_id)
{
	conn->key = *key;
	conn->cookie = bpf_get_socket_cookie(skops);
	conn->cgroup_id = cgroup_id;
	conn->opened = bpf_ktime_get_ns();
	conn->first_seq = key->role == PD_ROLE_ACTIVE ? key->isn_active : key->isn_passive;
	conn->settled_seq = conn->first_seq;
	conn->tcp_before = taken_by_tcp(tp);
	read_addrs(skops, &conn->local, &conn->remote);
}

static __always_inline __u64 cgroup_id_of(__u64 sock)
{
	__u64 node = sock_cgroup_node(sock);

	return node ? BPF_CORE_READ((struct kernfs_node *)node, id) : 0;
}

/* The key of the active end, from either. */
static __always_inline struct pd_key active_key(struct bpf_sock_ops *skops, __u32 role)
{
	__u32 snd_nxt = read_field(skops, snd_nxt), rcv_nxt = read_field(skops, rcv_nxt);
	struct pd_key key = {
		.isn_active = role == PD_ROLE_ACTIVE ? snd_nxt : rcv_nxt,
		.isn_passive = role == PD_ROLE_ACTIVE ? rcv_nxt : snd_nxt,
		.role = PD_ROLE_ACTIVE,
	};

	return key;
}

/* The note about a connection, by the key of its active end: the oldest notes are used anew
 * for others, also while one is read.
 */
static __always_inline int is_about(const struct pd_note *note, const struct pd_key *active)
{
	return note->isn_active == active->isn_active && note->isn_passive == active->isn_passive;
}

/* What judge_now() returns, in one register. */
#define JUDGED(generation, reason, rule) \
	((__u64)(generation) << 32 | (__u64)(reason) << 16 | (rule))
#define JUDGED_GENERATION(judged) ((__u32)((judged) >> 32))
#define JUDGED_REASON(judged) ((__u32)((judged) >> 16 & 0xffff))
#define JUDGED_RULE(judged) ((__u32)((judged)&0xffff))

/* Judge by the generation in force; one that is replaced meanwhile is asked for
 * anew, and the next cannot go, too, while this program runs. The reason is
 * PD_REASON_NONE if the policy says accelerate.
 */
static __noinline __u64 judge_now(struct bpf_sock_ops *skops, __u32 role)
{
	__u64 client_globs = 0, server_globs = 0, generation = 0;
	struct pd_key key = active_key(skops, role);
	struct tcp_sock *tp = tcp_sock_of(skops);
	struct pd_control *ctl = control();
	__u32 rule = PD_MAX_RULES, next;
	int i, said = JUDGED_GONE;
	struct pd_note *note;
	void *rules;

	note = bpf_map_lookup_elem(&pd_handshakes, &key);
	if (!ctl || !tp || (role == PD_ROLE_PASSIVE && !note))
		return JUDGED(0, PD_REASON_DEFAULT, rule);
	for (i = 0; i < 2 && said == JUDGED_GONE; i++) {
		generation = *(volatile __u64 *)&ctl->generation;
		if (role == PD_ROLE_PASSIVE && note) {
			cgroup_globs(note->sock, generation, &client_globs);
			cgroup_globs((__u64)tp, generation, &server_globs);
		} else {
			cgroup_globs((__u64)tp, generation, &client_globs);
		}
		said = judge(skops, generation, client_globs, server_globs, &rule);
	}
	if (said == JUDGED_ACCELERATE)
		return JUDGED(generation, PD_REASON_NONE, rule);
	/* The default rule is the last one. */
	next = rule + 1;
	rules = bpf_map_lookup_elem(&pd_rules, &generation);
	if (rules && bpf_map_lookup_elem(rules, &next))
		return JUDGED(generation, PD_REASON_RULE, rule);
	return JUDGED(generation, PD_REASON_DEFAULT, rule);
}

/* The active end is ESTABLISHED and has sent nothing yet. In process context as
 * a rule, inside connect(), or in softirq if that does not wait.
 * Returns 1 if there is something to judge.
 */
static __noinline int active_begin(struct bpf_sock_ops *skops)
{
	struct pd_control *ctl = control();
	struct tcp_sock *tp;

	if (!ctl || !ctl->enrolling)
		return 0;
	tp = tcp_sock_of(skops);
	if (!tp)
		return 0;
	if (BPF_CORE_READ_BITFIELD_PROBED(tp, syn_data)) {
		count_reason(PD_REASON_FASTOPEN);
		return 0;
	}
	return 1;
}

/* Have the engine take the socket, which is in pd_socks; take it out again if the
 * engine does not. Sets what conn->engine is.
 */
static __always_inline int engage(struct bpf_sock_ops *skops, struct pd_conn *conn,
				  struct tcp_sock *tp, const struct pd_control *ctl)
{
	struct pd_key key = conn->key;

	conn->engine = ctl->engine;
	if (conn->engine <= PD_ENGINE_SOCKMAP || !attach_module(skops, tp))
		return 0;
	conn->engine = PD_ENGINE_TCP;
	bpf_map_delete_elem(&pd_socks, &key);
	return -1;
}

static __noinline int active_end(struct bpf_sock_ops *skops, __u64 judged)
{
	struct pd_key key = active_key(skops, PD_ROLE_ACTIVE);
	struct tcp_sock *tp = tcp_sock_of(skops);
	struct pd_control *ctl = control();
	struct pd_note note = {};
	struct pd_conn *conn;
	int err;

	if (!tp || !ctl)
		return 0;
	note.sock = (__u64)tp;
	note.cookie = bpf_get_socket_cookie(skops);
	note.cgroup_id = cgroup_id_of(note.sock);
	note.generation = JUDGED_GENERATION(judged);
	note.rule = JUDGED_RULE(judged);
	note.epoch = *(volatile __u32 *)&ctl->epoch;
	note.isn_active = key.isn_active;
	note.isn_passive = key.isn_passive;
	read_addrs(skops, &note.local, &note.remote);
	note.reason = unsuitable(tp);
	if (!note.reason)
		note.reason = JUDGED_REASON(judged);
	if (note.reason)
		goto leave_note;

	conn = conn_of(skops, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		note.reason = PD_REASON_NO_MEMORY;
		goto leave_note;
	}
	init_conn(conn, skops, tp, &key, note.cgroup_id);
	conn->state = PD_STATE_CANDIDATE;
	conn->epoch = note.epoch;
	/* Which rule it is the passive end says. */
	conn->generation = 0;
	conn->rule = PD_MAX_RULES;
	err = bpf_sock_hash_update(skops, &pd_socks, &key, BPF_NOEXIST);
	if (!err)
		err = engage(skops, conn, tp, ctl);
	if (err) {
		note.reason = reason_of(err);
		conn->state = PD_STATE_DECLINED;
		conn->reason = note.reason;
		goto leave_note;
	}
	add_callbacks(skops, BPF_SOCK_OPS_RTT_CB_FLAG | BPF_SOCK_OPS_STATE_CB_FLAG);
leave_note:
	bpf_map_update_elem(&pd_handshakes, &key, &note, BPF_ANY);
	return 0;
}

/* Both ends are here and this connection stays on TCP. The active end learns
 * why from its note, unless that is another's by now.
 */
static __always_inline int decline(struct pd_conn *conn, struct pd_note *note,
				   const struct pd_key *active, __u32 reason, __u64 judged)
{
	__u32 generation = JUDGED_GENERATION(judged), rule = JUDGED_RULE(judged);

	count_reason(reason);
	if (reason == PD_REASON_RULE || reason == PD_REASON_DEFAULT) {
		struct pd_rule_stats *stats = rule_stats(generation, rule);

		if (stats)
			__sync_fetch_and_add(&stats->bypassed, 1);
	}
	if (is_about(note, active)) {
		note->reason = reason;
		note->generation = generation;
		note->rule = rule;
	}
	if (!conn)
		return 0;
	conn->generation = generation;
	conn->rule = rule;
	conn->state = PD_STATE_DECLINED;
	conn->reason = reason;
	emit(conn, PD_EVENT_DECLINE, reason);
	return 0;
}

/* Softirq, the child locked, TCP_SYN_RECV, not accepted yet. All that a server
 * of remote clients pays is the lookup of a note that is not there.
 * Returns 1 if there is something to judge.
 */
static __noinline int passive_begin(struct bpf_sock_ops *skops)
{
	struct pd_key active = active_key(skops, PD_ROLE_PASSIVE);
	struct pd_totals *all = totals();
	struct pd_control *ctl;

	if (!bpf_map_lookup_elem(&pd_handshakes, &active))
		return 0;
	ctl = control();
	if (!ctl || !ctl->enrolling || !all)
		return 0;
	__sync_fetch_and_add(&all->opened, 1);
	return 1;
}

static __noinline int passive_end(struct bpf_sock_ops *skops, __u64 judged)
{
	struct pd_key active = active_key(skops, PD_ROLE_PASSIVE), key = peer_of(&active);
	__u32 reason, rule = JUDGED_RULE(judged), epoch, said;
	struct tcp_sock *tp = tcp_sock_of(skops);
	struct pd_control *ctl = control();
	struct pd_totals *all = totals();
	struct pd_end own = {}, peer = {};
	struct pd_rule_stats *stats;
	struct pd_note *note;
	struct pd_conn *conn;
	__u64 said_judged;
	int err;

	note = bpf_map_lookup_elem(&pd_handshakes, &active);
	if (!note || !tp || !ctl || !all)
		return 0;
	epoch = note->epoch;
	own.sock = (__u64)tp;
	own.cgroup_id = cgroup_id_of(own.sock);
	own.cookie = bpf_get_socket_cookie(skops);
	peer.sock = note->sock;
	peer.cookie = note->cookie;
	peer.cgroup_id = note->cgroup_id;
	said = note->reason;
	said_judged = JUDGED(note->generation, said, note->rule);

	conn = conn_of(skops, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		decline(0, note, &active, PD_REASON_NO_MEMORY, judged);
		return 0;
	}
	init_conn(conn, skops, tp, &key, own.cgroup_id);
	conn->epoch = epoch;
	conn->generation = JUDGED_GENERATION(judged);
	conn->rule = rule;
	conn->peer_sock = peer.sock;
	conn->peer_cookie = peer.cookie;
	conn->peer_cgroup_id = peer.cgroup_id;
	/* Unsettled: a task that was in recv() before the handshake was over
	 * is inside tcp_recvmsg(), so look for it first.
	 */
	conn->settled_seq = conn->first_seq - 1;
	emit(conn, PD_EVENT_OPEN, PD_REASON_NONE);

	/* The policy may have changed since the active end asked: that one
	 * stayed out is reason enough, but the one in force comes first.
	 */
	reason = unsuitable(tp);
	if (!reason)
		reason = JUDGED_REASON(judged);
	if (!reason && !is_about(note, &active))
		reason = PD_REASON_OFF_HOST;
	if (!reason) {
		reason = said;
		if (reason == PD_REASON_RULE || reason == PD_REASON_DEFAULT)
			judged = said_judged;
	}
	/* Both ends belong to one epoch, so that they are released together. */
	if (!reason && epoch != *(volatile __u32 *)&ctl->epoch)
		reason = PD_REASON_RELEASED;
	if (reason) {
		decline(conn, note, &active, reason, judged);
		return 0;
	}

	err = bpf_sock_hash_update(skops, &pd_socks, &key, BPF_NOEXIST);
	if (!err)
		err = engage(skops, conn, tp, ctl);
	if (err) {
		decline(conn, note, &active, reason_of(err), judged);
		return 0;
	}
	own.engine = conn->engine;
	peer.engine = conn->engine;
	own.generation = conn->generation;
	peer.generation = conn->generation;
	own.rule = rule;
	peer.rule = rule;
	/* Before the entries, whose locks keep the order for who finds them gone again. */
	if (is_about(note, &active)) {
		note->generation = conn->generation;
		note->rule = rule;
		note->peer_cgroup_id = own.cgroup_id;
	}
	/* The passive end's entry is the last: it tells the active end that
	 * all is in place.
	 */
	err = bpf_map_update_elem(&pd_ends, &active, &peer, BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(&pd_ends, &key, &own, BPF_ANY);
	if (err) {
		bpf_map_delete_elem(&pd_ends, &active);
		bpf_map_delete_elem(&pd_socks, &key);
		decline(conn, note, &active, reason_of(err), judged);
		return 0;
	}
	if (is_about(note, &active))
		note->accelerated = 1;
	conn->state = PD_STATE_PAIRED;
	add_callbacks(skops, BPF_SOCK_OPS_STATE_CB_FLAG);
	__sync_fetch_and_add(&all->accelerated, 1);
	stats = rule_stats(conn->generation, rule);
	if (stats)
		__sync_fetch_and_add(&stats->accelerated, 1);
	return 0;
}

/* The passive end was enrolled, spoke or not, and has closed: its entries have gone and the note
 * says whose the connection was. Caller: a program of the active end, a candidate.
 */
static __always_inline int outlive_peer(struct pd_conn *conn, const struct pd_note *note)
{
	if (!note || !note->accelerated)
		return 0;
	conn->generation = note->generation;
	conn->rule = note->rule;
	conn->peer_cgroup_id = note->peer_cgroup_id;
	conn->state = PD_STATE_RELEASED;
	return 1;
}

/* The active end's first round trip is over. */
static __noinline int first_rtt(struct bpf_sock_ops *skops)
{
	struct pd_conn *conn = conn_of(skops, 0);
	struct pd_key peer, own;
	struct pd_note *note;
	struct tcp_sock *tp;
	struct pd_end *end;

	if (!conn)
		return 0;
	drop_rtt_callback(skops);
	/* Not a candidate any more: the verdict program has paired it. */
	if (conn->state != PD_STATE_CANDIDATE)
		return 0;
	own = conn->key;
	peer = peer_of(&own);
	end = bpf_map_lookup_elem(&pd_ends, &peer);
	if (end) {
		pair(conn, end);
		return 0;
	}
	note = bpf_map_lookup_elem(&pd_handshakes, &own);
	if (note && !is_about(note, &own))
		note = 0;
	/* What it said may still be in the queue. */
	if (outlive_peer(conn, note))
		return 0;
	tp = tcp_sock_of(skops);
	if (!tp || !queue_is_empty(tp)) {
		conn->state = PD_STATE_RELEASED;
		return 0;
	}
	/* The peer is not enrolled and will not be: plain TCP again. */
	bpf_map_delete_elem(&pd_socks, &own);
	conn->state = PD_STATE_DECLINED;
	if (note && note->reason) {
		conn->reason = note->reason;
		conn->generation = note->generation;
		conn->rule = note->rule;
		return 0;
	}
	conn->reason = PD_REASON_OFF_HOST;
	count_reason(PD_REASON_OFF_HOST);
	emit(conn, PD_EVENT_DECLINE, PD_REASON_OFF_HOST);
	return 0;
}

static __noinline int closed(struct bpf_sock_ops *skops)
{
	struct pd_conn *conn = conn_of(skops, 0);
	struct pd_totals *all = totals();
	struct tcp_sock *tp = tcp_sock_of(skops);
	struct pd_rule_stats *stats;
	struct pd_key own, peer;
	struct pd_sock_info info;
	struct pd_note *note;
	struct pd_end *end;
	__u64 tcp_bytes;
	__u8 state;

	if (!conn || !all || !tp)
		return 0;
	own = conn->key;
	/* Reset before its first round trip was over. */
	if (conn->state == PD_STATE_CANDIDATE) {
		peer = peer_of(&own);
		end = bpf_map_lookup_elem(&pd_ends, &peer);
		note = bpf_map_lookup_elem(&pd_handshakes, &own);
		if (end)
			pair(conn, end);
		else if (note && is_about(note, &own))
			outlive_peer(conn, note);
	}
	if (conn->state != PD_STATE_PAIRED && conn->state != PD_STATE_RELEASED)
		return 0;
	if (conn->engine > PD_ENGINE_SOCKMAP)
		read_module_counters(conn, tp, &info);
	tcp_bytes = taken_by_tcp(tp) - conn->tcp_before;
	/* A FIN that was sent is counted as a byte. The state is that which the socket leaves. */
	state = tp->inet_conn.icsk_inet.sk.__sk_common.skc_state;
	if (tcp_bytes && state != TCP_ESTABLISHED && state != TCP_CLOSE_WAIT)
		tcp_bytes--;
	conn->tcp_bytes = tcp_bytes;
	bpf_map_delete_elem(&pd_ends, &own);
	if (own.role == PD_ROLE_PASSIVE) {
		/* The active end may have closed before it was published. */
		peer = peer_of(&own);
		bpf_map_delete_elem(&pd_ends, &peer);
		__sync_fetch_and_add(&all->closed, 1);
	}
	__sync_fetch_and_add(&all->redirected_bytes, conn->redirected_bytes);
	__sync_fetch_and_add(&all->redirected_messages, conn->redirected_messages);
	__sync_fetch_and_add(&all->tcp_bytes, tcp_bytes);
	__sync_fetch_and_add(&all->tcp_messages, conn->tcp_messages);
	stats = rule_stats(conn->generation, conn->rule);
	if (stats) {
		__sync_fetch_and_add(&stats->redirected_bytes, conn->redirected_bytes);
		__sync_fetch_and_add(&stats->tcp_bytes, tcp_bytes);
	}
	emit(conn, PD_EVENT_CLOSE, PD_REASON_NONE);
	conn->state = PD_STATE_CLOSED;
	return 0;
}

/* connect(): a socket that had a connection before (connect(AF_UNSPEC) ends
 * one) would keep its queue, its key and its state.
 */
static __noinline int connecting(struct bpf_sock_ops *skops)
{
	struct pd_conn *conn = conn_of(skops, 0);
	struct bpf_sock *sk = skops->sk;
	struct pd_key old;

	if (!conn || !sk)
		return 0;
	old = conn->key;
	bpf_map_delete_elem(&pd_socks, &old);
	bpf_sk_storage_delete(&pd_conns, sk);
	return 0;
}

SEC("sockops")
int detect(struct bpf_sock_ops *skops)
{
	switch (skops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		connecting(skops);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (active_begin(skops))
			active_end(skops, judge_now(skops, PD_ROLE_ACTIVE));
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		if (passive_begin(skops))
			passive_end(skops, judge_now(skops, PD_ROLE_PASSIVE));
		break;
	case BPF_SOCK_OPS_RTT_CB:
		first_rtt(skops);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (skops->args[1] == TCP_CLOSE)
			closed(skops);
		break;
	}
	/* skops->reply stays 0, which is "no opinion" for each query. */
	return 1;
}
