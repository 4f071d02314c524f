/* SPDX-License-Identifier: GPL-2.0-only */
/* What TCP puts beside the bytes of one call of its recvmsg(): time stamps and the number
 * of bytes left. A call of ours that makes several of TCP's has those of the last one.
 */
#ifndef PD_CONTROL_H
#define PD_CONTROL_H

#include <linux/socket.h>
#include <net/tcp.h>

struct pd_control {
	size_t len;
	/* SCM_TIMESTAMP, SCM_TIMESTAMPING and TCP_CM_INQ: 32, 64 and 24 bytes. */
	u8 messages[128] __aligned(sizeof(u64));
};

/* Has the program asked for any of it? */
static inline bool pd_wants_control(const struct sock *sk)
{
	return tcp_sk(sk)->recvmsg_inq || sock_flag(sk, SOCK_RCVTSTAMP) ||
	       READ_ONCE(sk->sk_tsflags);
}

/* recvmsg() of @tcp, whose control messages replace those in @control; NULL: as it is. */
int pd_control_recvmsg(struct pd_control *control, struct proto *tcp, struct sock *sk,
		       struct msghdr *msg, size_t len, int flags, int *addr_len);
/* What is in @control is put to @msg, without TCP_CM_INQ. */
void pd_control_put(const struct pd_control *control, struct msghdr *msg);

#endif /* PD_CONTROL_H */
