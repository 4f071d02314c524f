/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel structures that the programs read, as far as they read them.
 *
 * preserve_access_index makes libbpf put each field where the running kernel
 * has it, so that only names and types matter here, and the build needs no
 * kernel's BTF.
 */
#ifndef PD_KERNEL_BPF_H
#define PD_KERNEL_BPF_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

struct kernfs_node {
	struct kernfs_node *__parent;
	const char *name;
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct wait_queue_entry {
	void *func;
	struct list_head entry;
};

struct wait_queue_head {
	struct list_head head;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct proto {
	atomic64_t *memory_allocated;
	long *sysctl_mem;
};

struct sock_common {
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	atomic64_t skc_cookie;
	struct proto *skc_prot;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct socket_wq *sk_wq;
	__u8 sk_shutdown;
	int sk_rcvlowat;
	void *sk_user_data;
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const void *icsk_ulp_ops;
	void *icsk_ulp_data;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 write_seq;
	__u64 bytes_acked;
	__u8 syn_data : 1;
	_Bool is_mptcp;
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

struct sk_msg_sg {
	__u32 size;
};

struct sk_msg {
	struct sk_msg_sg sg;
	struct list_head list;
};

struct sk_psock {
	struct list_head ingress_msg;
	__u32 msg_tot_len; /* from 6.18 on */
	refcount_t refcnt;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_map;

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop

#endif /* PD_KERNEL_BPF_H */
