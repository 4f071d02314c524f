// SPDX-License-Identifier: GPL-2.0-only
/* A pair of sockets of one process, each of whose messages goes straight to
 * the other: plain psock redirect with none of the care that verdict.bpf.c
 * takes, so that pdload can see what this kernel's redirect does by itself.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* key: local port of the socket, in host order */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} pd_scratch SEC(".maps");

SEC("sk_msg")
int scratch_verdict(struct sk_msg_md *msg)
{
	__u32 peer = bpf_ntohl(msg->remote_port);

	return bpf_msg_redirect_hash(msg, &pd_scratch, &peer, BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "GPL";
