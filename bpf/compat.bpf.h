/* SPDX-License-Identifier: GPL-2.0-only */
/* What differs between kernels, so that nothing else has to know. */
#ifndef PD_COMPAT_BPF_H
#define PD_COMPAT_BPF_H

#include <bpf/bpf_core_read.h>

#include "kernel.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Before 6.15 the field had no underscores; may go with 6.12. */
struct kernfs_node___parent {
	struct kernfs_node *parent;
};

/* Before 5.15 a word that is the pointer, or has bit 0 set and is not; may go
 * with 5.10.
 */
struct sock_cgroup_data___word {
	__u64 val;
};

#pragma clang attribute pop

/* The parent of a kernfs node, 0 at the root. Any context. Not inlined: clang
 * would take the offset of a field that does not exist out of its branch.
 */
static __noinline __attribute__((unused)) __u64 kernfs_parent(__u64 kn)
{
	struct kernfs_node *node = (void *)kn;

	if (bpf_core_field_exists(node->__parent))
		return (__u64)BPF_CORE_READ(node, __parent);
	return (__u64)BPF_CORE_READ((struct kernfs_node___parent *)kn, parent);
}

/* The kernfs node of the v2 cgroup of a socket, 0 if it has none. Not inlined, as above. */
static __noinline __attribute__((unused)) __u64 sock_cgroup_node(__u64 sock)
{
	struct sock *sk = (void *)sock;
	struct sock_cgroup_data___word *word;
	struct cgroup *cgroup;

	word = (void *)__builtin_preserve_access_index(&sk->sk_cgrp_data);
	if (bpf_core_field_exists(sk->sk_cgrp_data.cgroup)) {
		cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup);
	} else {
		__u64 val = BPF_CORE_READ(word, val);

		cgroup = (void *)(val & 1 ? 0 : val & ~3ULL);
	}
	if (!cgroup)
		return 0;
	return (__u64)BPF_CORE_READ(cgroup, kn);
}

/* True for a subflow of a multipath connection; MPTCP came with 5.6 and can
 * be configured out.
 */
static __always_inline int is_mptcp_subflow(struct tcp_sock *tp)
{
	if (!bpf_core_field_exists(tp->is_mptcp))
		return 0;
	return BPF_CORE_READ(tp, is_mptcp);
}

#define SOL_TCP 6
#define TCP_CONGESTION 13
#define TCP_CA_NAME_MAX 16

/* The module's, and what makes its argument. Not there where modules cannot give
 * programs functions (before 6.2), or this one has no BTF: may_call_module is 0 then.
 */
const volatile __u32 may_call_module __weak = 0;
int bpf_pd_attach(struct bpf_sock_ops_kern *skops) __ksym __weak;
void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

/* Any kernel lets a program set a congestion control: that of the module attaches when
 * it is set, and the socket's own is set again.
 */
static __always_inline int attach_by_congestion_control(struct bpf_sock_ops *skops,
							struct tcp_sock *tp)
{
	char own[TCP_CA_NAME_MAX] = {}, ours[TCP_CA_NAME_MAX] = "pipedevice";

	if (bpf_getsockopt(skops, SOL_TCP, TCP_CONGESTION, own, sizeof(own)))
		return -1;
	bpf_setsockopt(skops, SOL_TCP, TCP_CONGESTION, ours, sizeof(ours));
	bpf_setsockopt(skops, SOL_TCP, TCP_CONGESTION, own, sizeof(own));
	return BPF_CORE_READ(tp, inet_conn.icsk_ulp_ops) ? 0 : -1;
}

/* Attach the module to the socket of @skops, which is in pd_socks. 0, or less than 0 if
 * it is not attached.
 */
static __always_inline int attach_module(struct bpf_sock_ops *skops, struct tcp_sock *tp)
{
	if (may_call_module)
		return bpf_pd_attach(bpf_cast_to_kern_ctx(skops));
	return attach_by_congestion_control(skops, tp);
}

#endif /* PD_COMPAT_BPF_H */
