/* SPDX-License-Identifier: GPL-2.0-only */
/* How the BPF program that enrols a socket has the module attach to it. */
#ifndef PD_ATTACH_H
#define PD_ATTACH_H

struct bpf_sock_ops_kern;

int bpf_pd_attach(struct bpf_sock_ops_kern *skops); /* called by programs */
int pd_attach_init(void);
void pd_attach_exit(void);

#endif /* PD_ATTACH_H */
