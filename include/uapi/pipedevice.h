/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What pipedevice.ko shows of the sockets that it is attached to. */
#ifndef UAPI_PIPEDEVICE_H
#define UAPI_PIPEDEVICE_H

#include <linux/types.h>

/* The head of what a socket's icsk_ulp_data points to while its ULP is "pipedevice", for
 * BPF programs to read. The first four count what this socket has sent since it was
 * attached, and are written with its lock held; the others are of its receive buffer.
 * All in bytes but the messages, which are send() calls or parts of them.
 */
struct pd_sock_info {
	__u64 redirected_bytes; /* taken by the peer's receive buffer */
	__u64 redirected_messages;
	__u64 tcp_bytes;
	__u64 tcp_messages;
	__u32 unread; /* redirected bytes that the reader has not read */
	__u32 held; /* memory that they take; 0 if and only if there are none */
};

#endif /* UAPI_PIPEDEVICE_H */
