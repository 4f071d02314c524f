// SPDX-License-Identifier: GPL-2.0-only
/* Two ways in for a sockops program. Where modules can give programs of its type a
 * function, that is bpf_pd_attach(). And any kernel lets it set a congestion control:
 * ours attaches when it is set, and the program sets the socket's own again. Both run
 * with the socket locked, ESTABLISHED or in the last step of its handshake, in process
 * context or in softirq.
 */
#include <linux/filter.h>
#include <linux/module.h>
#include <net/tcp.h>

#include "attach.h"
#include "compat.h"
#include "sock_hook.h"

/* ---- the function ------------------------------------------------------------- */

#if PD_HAVE_KFUNC
__bpf_kfunc_start_defs();

/* Attach to the socket of @skops, as pd_sock_attach(). -EINVAL: a request socket. */
__bpf_kfunc int bpf_pd_attach(struct bpf_sock_ops_kern *skops)
{
	return skops->is_fullsock ? pd_sock_attach(skops->sk) : -EINVAL;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(kfuncs)
BTF_ID_FLAGS(func, bpf_pd_attach, KF_TRUSTED_ARGS)
BTF_KFUNCS_END(kfuncs)

static const struct btf_kfunc_id_set kfunc_set = {
	.owner = THIS_MODULE,
	.set = &kfuncs,
};

/* Without BTF of the module it succeeds, and programs do not find the function. */
static int register_kfunc(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_UNSPEC, &kfunc_set);
}
#else
static int register_kfunc(void)
{
	return 0;
}
#endif

/* ---- the congestion control ---------------------------------------------------- */

static void init_congestion(struct sock *sk)
{
	pd_sock_attach(sk);
}

/* Reno, for as long as it is set: by a program of BPF, or who may administer the network. One end
 * alone would be deaf to a peer that redirects by the sockmap.
 */
static struct tcp_congestion_ops congestion = {
	.init = init_congestion,
	.ssthresh = tcp_reno_ssthresh,
	.cong_avoid = tcp_reno_cong_avoid,
	.undo_cwnd = tcp_reno_undo_cwnd,
	.owner = THIS_MODULE,
	.name = "pipedevice",
};

int pd_attach_init(void)
{
	int err = register_kfunc();

	return err ?: tcp_register_congestion_control(&congestion);
}

void pd_attach_exit(void)
{
	tcp_unregister_congestion_control(&congestion);
}
