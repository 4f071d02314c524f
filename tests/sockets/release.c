// SPDX-License-Identifier: GPL-2.0-only
/* Connections that go back to TCP under their programs. On plain TCP they are there
 * already.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "sockets.h"

const char *release_by;

void release_all(void)
{
	char *args[] = { (char *)release_by, "flush", "--drain", "10", NULL };
	int status = 0;
	pid_t pid;

	if (!release_by)
		return;
	require(!posix_spawn(&pid, release_by, NULL, NULL, args, environ));
	returns(pid, waitpid(pid, &status, 0));
	if (status)
		give_up(__FILE__, __LINE__, "%s flush ended with wait status %#x", release_by,
			status);
}

static void run_release(void *arg)
{
	release_all();
}

static void blocked_recv_goes_on_after_release(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, 1000, 0);
	release_all();
	call_settles(&call);
	flow_put(&flow, 600);
	call_returns(&call, 600);
	flow_check(&flow, call.buf, 600);
	warm_up(from, to);
}

static void recv_of_all_goes_on_after_release(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	warm_up(from, to);
	recv_begin(&call, to, 1000, MSG_WAITALL);
	flow_put(&flow, 600);
	await(!has_bytes(to, 600));
	release_all();
	call_settles(&call);
	flow_put(&flow, 600);
	call_returns(&call, 1000);
	flow_check(&flow, call.buf, 1000);
	flow_drain(&flow);
	warm_up(from, to);
}

/* It reads what kept the connection from going back, and waits for more. */
static void recv_of_all_that_drains_lets_release_end(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct task task;
	struct call call;

	warm_up(from, to);
	flow_put(&flow, 600);
	await(has_bytes(to, 600));
	task_start(&task, run_release, NULL);
	/* For release to have looked at what is there. */
	usleep(200000);
	recv_begin(&call, to, 1000, MSG_WAITALL);
	task_join(&task);
	call_settles(&call);
	flow_put(&flow, 600);
	call_returns(&call, 1000);
	flow_check(&flow, call.buf, 1000);
	flow_drain(&flow);
	warm_up(from, to);
}

struct several {
	struct task task;
	int fd, returned;
	char bufs[2][600];
};

static void recv_several(void *arg)
{
	struct several *several = arg;
	struct iovec iovs[2] = { { several->bufs[0], 600 }, { several->bufs[1], 600 } };
	struct mmsghdr msgs[2] = { { .msg_hdr = { .msg_iov = iovs, .msg_iovlen = 1 } },
				   { .msg_hdr = { .msg_iov = iovs + 1, .msg_iovlen = 1 } } };

	several->returned = recvmmsg(several->fd, msgs, 2, MSG_WAITALL, NULL);
}

/* What it has is not lost, and no error of its own stays with the socket. */
static void recv_of_several_messages_goes_on_after_release(int from, int to)
{
	struct several several = { .fd = to };
	struct flow flow = flow_between(from, to);

	warm_up(from, to);
	flow_put(&flow, 600);
	task_start(&several.task, recv_several, &several);
	await(!has_bytes(to, 1) && sleeps_in(several.task.tid, SYS_recvmmsg));
	release_all();
	usleep(100000);
	assert_false(several.task.done);
	flow_put(&flow, 600);
	task_join(&several.task);
	returns(2, several.returned);
	flow_check(&flow, several.bufs, 1200);
	assert_int_equal(get_option(to, SOL_SOCKET, SO_ERROR), 0);
	warm_up(from, to);
}

/* What was looked at before is there once. */
static void peek_of_all_goes_on_after_release(int from, int to)
{
	struct flow flow = flow_between(from, to), look = flow;
	struct call call;

	set_option(from, SOL_SOCKET, SO_ZEROCOPY, 1);
	returns(600, send(from, flow_next(&flow, 600), 600, MSG_ZEROCOPY));
	flow_sent(&flow, 600);
	await(has_bytes(to, 600));
	recv_begin(&call, to, 1000, MSG_PEEK | MSG_WAITALL);
	release_all();
	call_settles(&call);
	flow_put(&flow, 600);
	call_returns(&call, 1000);
	flow_check(&look, call.buf, 1000);
	flow_drain(&flow);
}

static void blocked_send_goes_on_after_release(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;
	struct task task;

	warm_up(from, to);
	send_begin_full(&call, &flow, MIB(4));
	task_start(&task, run_release, NULL);
	nap();
	flow_sent(&flow, MIB(4));
	flow_drain(&flow);
	call_returns(&call, MIB(4));
	task_join(&task);
	warm_up(from, to);
}

/* ---- the upper protocol's name -------------------------------------------------- */

struct asker {
	struct task task;
	int fd;
	atomic_bool stop;
};

static void ask_for_ulp(void *arg)
{
	struct asker *asker = arg;

	while (!asker->stop) {
		char name[16];
		socklen_t len = sizeof(name);

		/* TCP's own call looks for the protocol twice and without a lock. One that
		 * slept between (it may, where it writes the length) while the protocol went
		 * finds nothing to copy from.
		 */
		if (getsockopt(asker->fd, IPPROTO_TCP, TCP_ULP, name, &len))
			require(errno == EFAULT);
		require(len <= sizeof(name));
	}
}

/* It comes and goes with the engine, and with the connection. */
static void ulp_may_be_asked_for_at_any_moment(void)
{
	int listener = listening(4), fd = client_of(listener);
	struct asker askers[2];

	for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
		askers[i].fd = fd;
		askers[i].stop = false;
		task_start(&askers[i].task, ask_for_ulp, &askers[i]);
	}
	for (int i = 0; i < 30; i++) {
		int server;

		connect_to(fd, listener);
		server = accept_from(listener);
		warm_up(fd, server);
		if (i % 6 == 0)
			release_all();
		warm_up(fd, server);
		disconnect(fd);
		close(server);
	}
	for (size_t i = 0; i < ARRAY_SIZE(askers); i++) {
		askers[i].stop = true;
		task_join(&askers[i].task);
	}
	close(fd);
	close(listener);
}

const struct test release_tests[] = {
	TEST_WAYS(blocked_recv_goes_on_after_release),
	TEST_WAYS(recv_of_all_goes_on_after_release),
	TEST_WAYS(recv_of_all_that_drains_lets_release_end),
	TEST_WAYS(recv_of_several_messages_goes_on_after_release),
	TEST_WAYS(peek_of_all_goes_on_after_release),
	TEST_WAYS(blocked_send_goes_on_after_release),
	TEST(ulp_may_be_asked_for_at_any_moment),
	{ 0 },
};
