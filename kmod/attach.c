// SPDX-License-Identifier: GPL-2.0-only
/* Any kernel lets a sockops program set a congestion control: ours attaches when it
 * is set, and the program sets the socket's own again. That runs with the socket
 * locked, ESTABLISHED or in the last step of its handshake, in process context or in
 * softirq.
 */
#include <linux/module.h>
#include <net/tcp.h>

#include "attach.h"
#include "sock_hook.h"

static void init_congestion(struct sock *sk)
{
	pd_sock_attach(sk);
}

/* Reno, for as long as it is set. */
static struct tcp_congestion_ops congestion = {
	.init = init_congestion,
	.ssthresh = tcp_reno_ssthresh,
	.cong_avoid = tcp_reno_cong_avoid,
	.undo_cwnd = tcp_reno_undo_cwnd,
	.flags = TCP_CONG_NON_RESTRICTED,
	.owner = THIS_MODULE,
	.name = "pipedevice",
};

int pd_attach_init(void)
{
	return tcp_register_congestion_control(&congestion);
}

void pd_attach_exit(void)
{
	tcp_unregister_congestion_control(&congestion);
}
