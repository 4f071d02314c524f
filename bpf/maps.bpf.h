/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps and load-time constants that the programs share; those of the policy
 * are in policy.bpf.h. The definitions are weak, so that each object carries
 * them and bpftool links them into one.
 * Sizes are the defaults; pdload sets them at load.
 */
#ifndef PD_MAPS_BPF_H
#define PD_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "kernel.bpf.h"
#include "pd_maps.h"

/* Notes of active ends that wait for their passive end. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PD_DEFAULT_HANDSHAKES);
	__type(key, struct pd_key);
	__type(value, struct pd_note);
} pd_handshakes __weak SEC(".maps");

/* The sockets themselves; the sk_msg program is attached to this map. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2 * PD_DEFAULT_CONNECTIONS);
	__type(key, struct pd_key);
	__type(value, __u64);
} pd_socks __weak SEC(".maps");

/* Both ends of each enrolled connection, until it closes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * PD_DEFAULT_CONNECTIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pd_key);
	__type(value, struct pd_end);
} pd_ends __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pd_conn);
} pd_conns __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct pd_control);
} pd_control __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PD_MAX_RULES + 1);
	__type(key, __u32);
	__type(value, struct pd_rule_stats);
} pd_rule_stats __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PD_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} pd_reasons __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pd_totals);
} pd_totals __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} pd_events __weak SEC(".maps");

/* Unread redirected bytes that one direction may have. */
const volatile __u32 bound_bytes __weak = PD_DEFAULT_BOUND;
/* Address of woken_wake_function(), by which a task waits inside send() or
 * recv(); 0 if it is not known.
 */
const volatile __u64 woken_wake_function __weak = 0;
/* Where sk_wait_data() begins and ends; 0 if it is not known, or is inlined. */
const volatile __u64 sk_wait_data_start __weak = 0;
const volatile __u64 sk_wait_data_end __weak = 0;

/* ---- helpers on them; any context ---------------------------------------- */

static __always_inline struct pd_control *control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pd_control, &zero);
}

static __always_inline struct pd_totals *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pd_totals, &zero);
}

/* The counters of a rule of @generation; NULL if they are another's now. */
static __always_inline struct pd_rule_stats *rule_stats(__u64 generation, __u32 rule)
{
	struct pd_control *ctl = control();

	if (!ctl || generation != *(volatile __u64 *)&ctl->counting)
		return 0;
	return bpf_map_lookup_elem(&pd_rule_stats, &rule);
}

static __always_inline void count_reason(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&pd_reasons, &reason);

	/* Per CPU, but a softirq may come in between. */
	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline struct pd_key peer_of(const struct pd_key *key)
{
	struct pd_key peer = *key;

	peer.role = !peer.role;
	return peer;
}

/* Tell whoever watches. @conn is of the end that the event is about. */
static __noinline __attribute__((unused)) int emit(struct pd_conn *conn, __u32 type, __u32 reason)
{
	struct pd_control *ctl = control();
	struct pd_event *event;

	if (!conn || !ctl || !ctl->watching)
		return 0;
	event = bpf_ringbuf_reserve(&pd_events, sizeof(*event), 0);
	if (!event) {
		struct pd_totals *all = totals();

		if (all)
			__sync_fetch_and_add(&all->events_lost, 1);
		return 0;
	}
	event->time = bpf_ktime_get_ns();
	event->type = type;
	event->reason = reason;
	event->key = conn->key;
	event->rule = conn->rule;
	event->generation = conn->generation;
	if (conn->key.role == PD_ROLE_ACTIVE) {
		event->client_cgroup_id = conn->cgroup_id;
		event->server_cgroup_id = conn->peer_cgroup_id;
	} else {
		event->client_cgroup_id = conn->peer_cgroup_id;
		event->server_cgroup_id = conn->cgroup_id;
	}
	event->local = conn->local;
	event->remote = conn->remote;
	event->redirected_bytes = conn->redirected_bytes;
	event->tcp_bytes = conn->tcp_bytes;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif /* PD_MAPS_BPF_H */
