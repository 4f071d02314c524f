// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of a large message when a process that sends or receives it ends. tests/vm/dma_memory.sh
 * runs these with copies by DMA that take long.
 */
#include "sockets.h"

struct end {
	int fd, other;
	struct flow *flow;
};

static void send_large(void *arg)
{
	struct end *end = arg;
	char *map = large_buffer(-1);

	close(end->other);
	for (;;) {
		fill(map, LARGE, end->flow->stream, end->flow->sent);
		end->flow->sent += succeeds(send(end->fd, map, LARGE, MSG_NOSIGNAL));
	}
}

/* One thread sends, the other ends the process by exit_group(). */
static void exit_while_sending(void *arg)
{
	struct end *end = arg;
	char *map = large_buffer(-1);
	struct call call = { .fd = end->fd, .buf = map, .len = LARGE };

	close(end->other);
	fill(map, LARGE, end->flow->stream, 0);
	send_late(&call);
	await(call.task.done || sleeps_in(call.task.tid, SYS_sendto));
	_exit(0);
}

static void take_all(struct flow *flow)
{
	while (succeeds(flow_recv(flow, KIB(64), 0)))
		;
	flow_end(flow);
}

static void writer_is_killed_in_the_middle_of_a_large_message(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct end end = { .fd = from, .other = to, .flow = &flow };
	pid_t pid;

	warm_up(from, to);
	pid = process_start(send_large, &end);
	close(from);
	flow_take(&flow, LARGE + LARGE / 2);
	process_kill(pid);
	take_all(&flow);
}

static void writer_exits_in_the_middle_of_a_large_message(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct end end = { .fd = from, .other = to, .flow = &flow };
	pid_t pid;

	warm_up(from, to);
	pid = process_start(exit_while_sending, &end);
	close(from);
	process_join(pid);
	take_all(&flow);
}

static void receive_large(void *arg)
{
	struct end *end = arg;
	char *map = large_buffer(-1);

	close(end->other);
	for (;;)
		succeeds(recv(end->fd, map, LARGE, 0));
}

/* Who sends to it may have a reset, and nothing else. */
static void reader_is_killed_in_the_middle_of_a_large_message(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct end end = { .fd = to, .other = from };
	char *map = large_buffer(-1);
	struct call call = { .fd = from, .buf = map, .len = LARGE };
	pid_t pid;

	warm_up(from, to);
	pid = process_start(receive_large, &end);
	close(to);
	flow_put(&flow, LARGE / 2);
	send_late(&call);
	process_kill(pid);
	call_join(&call);
	if (call.returned < 0 && call.error != EPIPE && call.error != ECONNRESET)
		give_up(__FILE__, __LINE__, "send(): %s", strerror(call.error));
	require_unpinned();
}

const struct test death_tests[] = {
	TEST_WAYS(writer_is_killed_in_the_middle_of_a_large_message),
	TEST_WAYS(writer_exits_in_the_middle_of_a_large_message),
	TEST_WAYS(reader_is_killed_in_the_middle_of_a_large_message),
	{ 0 },
};
