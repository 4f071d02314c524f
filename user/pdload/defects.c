/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a sockmap redirect differs from TCP. Each test runs on a plain pair
 * first, so that what the host itself does differently is never blamed on the
 * redirect.
 */
#include "defects.h"

#include "defect_tests.h"
#include "trial_steps.h"

#define TEST_MS 3000 /* limit of one trial */
#define HANG_MS 1000 /* the same where it is known to hang */

struct pd_defect pd_defects[] = {
	{
		.name = "splice_hang",
		.what = "splice(2) from an enrolled socket blocks for ever",
		.suffers = "Go io.Copy between sockets, HAProxy, docker-proxy",
		.test = pd_test_splice,
		.hangs = true,
	},
	{
		.name = "fionread_zero",
		.what = "FIONREAD answers 0 although there is data",
		.suffers = "nginx, Java, .NET",
		.test = pd_test_fionread,
	},
	{
		.name = "order_before_tcp",
		.what = "redirected bytes are read before older ones in TCP's queue",
		.suffers = "every program",
		.avoided = true,
		.test = pd_test_order,
		.late = true,
	},
	{
		.name = "waiting_reader_blind",
		.what = "a reader already waiting inside TCP never sees redirected bytes",
		.suffers = "every program that was reading before enrolment",
		.avoided = true,
		.test = pd_test_waiting_reader,
		.late = true,
	},
	{
		.name = "reader_uncharged",
		.what = "unread redirected bytes are not charged to the reader",
		.suffers = "memory limits of containers",
		.test = pd_test_charge,
	},
	{
		.name = "no_backpressure",
		.what = "a sender is never stopped by a reader that does not read",
		.suffers = "every sender faster than its reader",
		.avoided = true,
		.test = pd_test_backpressure,
	},
	{
		.name = "send_after_shutdown",
		.what = "send() after shutdown(SHUT_WR) succeeds and arrives",
		.suffers = "programs that half-close",
		.avoided = true,
		.test = pd_test_shutdown,
	},
	{
		.name = "no_reset_on_unread_close",
		.what = "close() with unread data sends FIN, not RST",
		.suffers = "clients that must learn that nobody read their request",
		.test = pd_test_reset,
	},
	{
		.name = "reset_lost_behind_unread",
		.what = "a reset that comes while a reader with much unread is in recv() is lost",
		.suffers = "programs that half-close, only read, and have no time limit",
		.test = pd_test_late_reset,
	},
	{
		.name = "sender_stops_while_reader_faults",
		.what = "send(), also with MSG_DONTWAIT, waits for page faults of the reader",
		.suffers = "containers that do not trust each other",
		.test = pd_test_reader_faults,
	},
	{
		.name = "enomem_in_send",
		.what = "send() fails with ENOMEM where TCP would wait for memory",
		.suffers = "senders to containers at their memory limit",
		.detail = "not tried: it takes a shortage of memory",
	},
	{
		.name = "uring_waitall_send_loses",
		.what = "io_uring's SEND with MSG_WAITALL to a reader that stalls leaves out bytes",
		.suffers = "io_uring programs that send so (liburing's plain send() does not)",
		.detail =
			"not tried: it takes a reader that stalls for seconds; seen on 6.12 and 6.18",
	},
	{
		.name = "rcvlowat_ignored",
		.what = "poll() ignores SO_RCVLOWAT",
		.suffers = "gRPC and others that set SO_RCVLOWAT",
		.test = pd_test_rcvlowat,
	},
	{
		.name = "waitall_short",
		.what = "recv(MSG_WAITALL) returns less than was asked for",
		.suffers = "readers of fixed-size records that do not loop",
		.test = pd_test_waitall,
	},
	{
		.name = "eagain_in_blocking_recv",
		.what = "a blocking recv() that is woken without data returns EAGAIN",
		.suffers = "threads or processes that share one connection, signal handlers",
		.test = pd_test_two_readers,
	},
	{
		.name = "eagain_after_half_close",
		.what = "a blocking recv() returns EAGAIN after shutdown(SHUT_WR)",
		.suffers = "blocking programs that half-close and then read the reply",
		.test = pd_test_half_close,
	},
	{
		.name = "oob_lost",
		.what = "urgent data (MSG_OOB) is lost or arrives as ordinary data",
		.suffers = "telnet, rlogin, FTP",
		.test = pd_test_oob,
	},
	{
		.name = "msg_more_ignored",
		.what = "MSG_MORE does not hold a message back",
		.suffers = "nobody's data: more and smaller messages",
		.test = pd_test_msg_more,
	},
	{
		.name = "trunc_efault",
		.what = "recv(MSG_TRUNC) without a buffer fails instead of discarding",
		.suffers = "HAProxy, which drains connections with it",
		.test = pd_test_trunc,
	},
	{
		.name = "tcp_inq_ignored",
		.what = "TCP_INQ does not say how much is left to read",
		.suffers = "gRPC",
		.test = pd_test_inq,
	},
	{
		.name = "peek_off_ignored",
		.what = "SO_PEEK_OFF does not move what MSG_PEEK sees",
		.suffers = "passt and pasta (rootless podman)",
		.test = pd_test_peek_off,
	},
	{
		.name = "timestamps_ignored",
		.what = "received data carries no timestamp",
		.suffers = "latency monitors",
		.test = pd_test_timestamps,
	},
	{
		.name = "zerocopy_receive_wrong",
		.what = "TCP_ZEROCOPY_RECEIVE does not see redirected data",
		.suffers = "receivers of large streams written for it, gRPC",
		.test = pd_test_zerocopy_receive,
	},
	{
		.name = "zerocopy_completion_missing",
		.what = "send() with MSG_ZEROCOPY succeeds and its completion never comes",
		.suffers = "senders that wait for it before they use a buffer again",
		.test = pd_test_zerocopy_send,
	},
	{
		.name = "send_zc_unsupported",
		.what = "io_uring SEND_ZC fails on an enrolled socket",
		.suffers = "io_uring programs that send without copying",
		.test = pd_test_send_zc,
	},
	{
		.name = "small_stream_slow",
		.what = "a stream of small messages is slower than TCP, which joins them",
		.suffers = "bulk senders of small messages",
		.test = pd_test_small_stream,
		.compares = true,
	},
	{ 0 },
};

const char *pd_defect__state(const struct pd_defect *defect)
{
	static const char *const names[] = {
		[PD_DEFECT_UNTESTED] = "could not test",
		[PD_DEFECT_ABSENT] = "absent",
		[PD_DEFECT_PRESENT] = "present",
	};

	return names[defect->state];
}

static void conclude(struct pd_defect *d, enum pd_defect_state state, const char *detail)
{
	d->state = state;
	snprintf(d->detail, sizeof(d->detail), "%s", detail);
}

static void compare(struct pd_defect *d, double plain, double enrolled)
{
	double ratio = plain > 0 ? enrolled / plain : 0;

	d->state = ratio < 0.9 ? PD_DEFECT_PRESENT : PD_DEFECT_ABSENT;
	snprintf(d->detail, sizeof(d->detail), "messages of 1 KiB at %.2f times TCP's rate", ratio);
}

static void run_one(struct pd_defect *d, long end)
{
	struct pd_trial plain, enrolled;
	long left = end - pd_trial__now_ms();

	if (left < 2 * TEST_MS) {
		conclude(d, PD_DEFECT_UNTESTED, "the time for all tests was used up");
		return;
	}
	pd_trial__run(&plain, d->test, false, d->late, TEST_MS);
	if (plain.outcome == PD_OUTCOME_UNTESTED) {
		conclude(d, PD_DEFECT_UNTESTED, plain.detail);
		return;
	}
	if (plain.outcome != PD_OUTCOME_TCP) {
		snprintf(d->detail, sizeof(d->detail), "plain TCP does it here, too: %s",
			 plain.detail);
		d->state = PD_DEFECT_UNTESTED;
		return;
	}
	pd_trial__run(&enrolled, d->test, true, d->late, d->hangs ? HANG_MS : TEST_MS);
	if (enrolled.outcome == PD_OUTCOME_DEFECT || enrolled.outcome == PD_OUTCOME_HUNG)
		conclude(d, PD_DEFECT_PRESENT, enrolled.detail);
	else if (enrolled.outcome != PD_OUTCOME_TCP)
		conclude(d, PD_DEFECT_UNTESTED, enrolled.detail);
	else if (d->compares)
		compare(d, plain.figure, enrolled.figure);
	else
		conclude(d, PD_DEFECT_ABSENT, "");
}

void pd_defects__run(const char *why_not)
{
	long end = pd_trial__now_ms() + PD_DEFECTS_LIMIT_MS;
	struct pd_defect *d;

	for (d = pd_defects; d->name; d++) {
		if (!d->test)
			continue;
		if (why_not) {
			conclude(d, PD_DEFECT_UNTESTED, why_not);
			continue;
		}
		p_progress("testing sockmap redirect: %s", d->name);
		run_one(d, end);
	}
}
