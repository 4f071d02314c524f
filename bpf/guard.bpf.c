// SPDX-License-Identifier: GPL-2.0-only
/* cgroup/setsockopt: a redirected socket must not become a kernel TLS socket.
 *
 * A ULP set on a socket in pd_socks would take the ciphertext that was
 * redirected for plaintext. TLS libraries ask for kTLS after the handshake,
 * that is, after enrolment, and go on in user space when the kernel says no.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "maps.bpf.h"

#define IPPROTO_TCP 6
#define TCP_ULP 31

char _license[] SEC("license") = "GPL";

SEC("cgroup/setsockopt")
int guard(struct bpf_sockopt *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct pd_conn *conn;

	/* "Not looked at": the kernel then takes the value from the caller, and
	 * not its own copy, which ends after a page.
	 */
	ctx->optlen = 0;
	if (ctx->level != IPPROTO_TCP || ctx->optname != TCP_ULP)
		return 1;
	if (!sk)
		return 1;
	conn = bpf_sk_storage_get(&pd_conns, sk, 0, 0);
	if (!conn || conn->state == PD_STATE_DECLINED)
		return 1;
	count_reason(PD_REASON_ULP);
	return 0;
}
