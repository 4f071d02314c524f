// SPDX-License-Identifier: GPL-2.0-only
#include "control.h"

int pd_control_recvmsg(struct pd_control *control, struct proto *tcp, struct sock *sk,
		       struct msghdr *msg, size_t len, int flags, int *addr_len)
{
	const struct msghdr theirs = *msg;
	int n;

	if (likely(!control))
		return tcp->recvmsg(sk, msg, len, flags, addr_len);
	msg->msg_control = control->messages;
	msg->msg_controllen = sizeof(control->messages);
	msg->msg_control_is_user = false;
	/* They are made fit for such a caller when they are put. */
	msg->msg_flags &= ~MSG_CMSG_COMPAT;
	n = tcp->recvmsg(sk, msg, len, flags, addr_len);
	/* At the end it has no stamp, and that of the bytes before is theirs still. */
	if (n > 0)
		control->len = sizeof(control->messages) - msg->msg_controllen;
	if (theirs.msg_control_is_user)
		msg->msg_control_user = theirs.msg_control_user;
	else
		msg->msg_control = theirs.msg_control;
	msg->msg_controllen = theirs.msg_controllen;
	msg->msg_control_is_user = theirs.msg_control_is_user;
	msg->msg_flags |= theirs.msg_flags & MSG_CMSG_COMPAT;
	return n;
}

void pd_control_put(const struct pd_control *control, struct msghdr *msg)
{
	struct msghdr kept = {
		.msg_control = (void *)control->messages,
		.msg_controllen = control->len,
	};
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, &kept) {
		if (cmsg->cmsg_level != SOL_TCP || cmsg->cmsg_type != TCP_CM_INQ)
			put_cmsg(msg, cmsg->cmsg_level, cmsg->cmsg_type,
				 cmsg->cmsg_len - sizeof(*cmsg), CMSG_DATA(cmsg));
	}
}
