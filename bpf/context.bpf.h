/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the sockops context. */
#ifndef PD_CONTEXT_BPF_H
#define PD_CONTEXT_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "pd_maps.h"

#define AF_INET 2

#ifndef barrier_var
#define barrier_var(var) asm volatile("" : "+r"(var))
#endif

/* A field of the context, in a register of its own: reading one of two by a
 * condition makes clang form a pointer into the context, which is refused.
 */
#define read_field(skops, field)               \
	({                                     \
		__u32 value_ = (skops)->field; \
		barrier_var(value_);           \
		value_;                        \
	})

/* The two addresses of a socket. */
static __always_inline void read_addrs(struct bpf_sock_ops *skops, struct pd_addr *local,
				       struct pd_addr *remote)
{
	__u32 family = read_field(skops, family), mapped = family == AF_INET;
	__u32 local4 = read_field(skops, local_ip4), remote4 = read_field(skops, remote_ip4);
	__u32 l0 = read_field(skops, local_ip6[0]), l1 = read_field(skops, local_ip6[1]);
	__u32 l2 = read_field(skops, local_ip6[2]), l3 = read_field(skops, local_ip6[3]);
	__u32 r0 = read_field(skops, remote_ip6[0]), r1 = read_field(skops, remote_ip6[1]);
	__u32 r2 = read_field(skops, remote_ip6[2]), r3 = read_field(skops, remote_ip6[3]);

	local->family = family;
	local->port = read_field(skops, local_port);
	local->ip[0] = mapped ? 0 : l0;
	local->ip[1] = mapped ? 0 : l1;
	local->ip[2] = mapped ? bpf_htonl(0xffff) : l2;
	local->ip[3] = mapped ? local4 : l3;
	remote->family = family;
	remote->port = bpf_ntohl(read_field(skops, remote_port));
	remote->ip[0] = mapped ? 0 : r0;
	remote->ip[1] = mapped ? 0 : r1;
	remote->ip[2] = mapped ? bpf_htonl(0xffff) : r2;
	remote->ip[3] = mapped ? remote4 : r3;
}

#endif /* PD_CONTEXT_BPF_H */
