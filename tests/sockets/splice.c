// SPDX-License-Identifier: GPL-2.0-only
/* splice(), vmsplice() and tee(). */
#include "sockets.h"

struct pipe {
	int out, in;
};

static struct pipe new_pipe(void)
{
	int fds[2];

	succeeds(pipe2(fds, O_CLOEXEC));
	return (struct pipe){ .out = fds[0], .in = fds[1] };
}

static void close_pipe(const struct pipe *pipe)
{
	close(pipe->out);
	close(pipe->in);
}

static void pipe_has(const struct pipe *pipe, struct flow *flow, size_t len)
{
	char buf[KIB(64)];

	while (len) {
		ssize_t n = succeeds(read(pipe->out, buf, len < sizeof(buf) ? len : sizeof(buf)));

		require(n > 0);
		flow_check(flow, buf, n);
		len -= n;
	}
}

static void splice_takes_what_is_there(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();

	flow_put(&flow, 1000);
	await(has_bytes(to, 1000));
	returns(600, splice(to, NULL, pipe.in, NULL, 600, 0));
	pipe_has(&pipe, &flow, 600);
	returns(400, splice(to, NULL, pipe.in, NULL, 4000, 0));
	pipe_has(&pipe, &flow, 400);
	close_pipe(&pipe);
}

struct splicing {
	struct task task;
	int fd;
	const struct pipe *pipe;
	ssize_t returned;
};

static void run_splice(void *arg)
{
	struct splicing *splicing = arg;

	splicing->returned =
		splice(splicing->fd, NULL, splicing->pipe->in, NULL, 5000, SPLICE_F_MOVE);
}

static void splice_waits_until_data_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();
	struct splicing splicing = { .fd = to, .pipe = &pipe };

	task_start(&splicing.task, run_splice, &splicing);
	await(sleeps_in(splicing.task.tid, SYS_splice));
	flow_put(&flow, 1000);
	task_join(&splicing.task);
	assert_int_equal(splicing.returned, 1000);
	pipe_has(&pipe, &flow, 1000);
	close_pipe(&pipe);
}

/* SPLICE_F_NONBLOCK is about the pipe only. */
static void splice_gives_eagain_when_empty(int from, int to)
{
	struct pipe pipe = new_pipe();

	set_nonblocking(to, true);
	fails(EAGAIN, splice(to, NULL, pipe.in, NULL, 100, 0));
	say(from, "a");
	await(has_events(to, POLLIN));
	returns(1, splice(to, NULL, pipe.in, NULL, 100, SPLICE_F_NONBLOCK));
	fails(EAGAIN, splice(to, NULL, pipe.in, NULL, 100, SPLICE_F_NONBLOCK));
	close_pipe(&pipe);
}

static void splice_gets_the_end_after_the_data(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();

	flow_put(&flow, 1000);
	succeeds(shutdown(from, SHUT_WR));
	returns(1000, splice(to, NULL, pipe.in, NULL, 5000, 0));
	pipe_has(&pipe, &flow, 1000);
	returns(0, splice(to, NULL, pipe.in, NULL, 5000, 0));
	close_pipe(&pipe);
}

static void splice_goes_on_after_recv(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();

	flow_put(&flow, 1000);
	await(has_bytes(to, 1000));
	returns(100, flow_recv(&flow, 100, 0));
	returns(300, splice(to, NULL, pipe.in, NULL, 300, 0));
	pipe_has(&pipe, &flow, 300);
	returns(600, flow_recv(&flow, 1000, 0));
	close_pipe(&pipe);
}

static void splice_sends_what_is_in_a_pipe(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();

	for (int i = 0; i < 20; i++) {
		returns(5000, write(pipe.in, flow_next(&flow, 5000), 5000));
		returns(5000, splice(pipe.out, NULL, from, NULL, 5000, i & 1 ? SPLICE_F_MORE : 0));
		flow_sent(&flow, 5000);
	}
	flow_put(&flow, 100);
	flow_drain(&flow);
	close_pipe(&pipe);
}

static void vmspliced_pages_arrive(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct iovec part = { flow_next(&flow, 30000), 30000 };
	struct pipe pipe = new_pipe();

	returns(30000, vmsplice(pipe.in, &part, 1, 0));
	returns(30000, splice(pipe.out, NULL, from, NULL, 30000, 0));
	flow_sent(&flow, 30000);
	flow_drain(&flow);
	close_pipe(&pipe);
}

static void teed_bytes_arrive_and_stay(int from, int to)
{
	struct flow flow = flow_between(from, to), copy = flow;
	struct pipe pipe = new_pipe(), second = new_pipe();

	returns(9000, write(pipe.in, flow_next(&flow, 9000), 9000));
	returns(9000, tee(pipe.out, second.in, 9000, 0));
	returns(9000, splice(second.out, NULL, from, NULL, 9000, 0));
	flow_sent(&flow, 9000);
	flow_drain(&flow);
	pipe_has(&pipe, &copy, 9000);
	close_pipe(&second);
	close_pipe(&pipe);
}

static void spliced_and_sent_bytes_keep_their_order(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pipe pipe = new_pipe();

	for (int i = 0; i < 40; i++) {
		size_t len = 1 + 97 * i;

		if (i % 3) {
			returns(len, write(pipe.in, flow_next(&flow, len), len));
			returns(len, splice(pipe.out, NULL, from, NULL, len, 0));
			flow_sent(&flow, len);
		} else {
			flow_put(&flow, len);
		}
	}
	flow_drain(&flow);
	close_pipe(&pipe);
}

/* ---- a proxy ---------------------------------------------------------------- */

struct proxy {
	struct task task;
	int in, out;
};

static void run_proxy(void *arg)
{
	struct proxy *proxy = arg;
	struct pipe pipe = new_pipe();
	ssize_t n;

	while ((n = succeeds(splice(proxy->in, NULL, pipe.in, NULL, KIB(64), SPLICE_F_MOVE)))) {
		while (n)
			n -= succeeds(splice(pipe.out, NULL, proxy->out, NULL, n, SPLICE_F_MOVE));
	}
	succeeds(shutdown(proxy->out, SHUT_WR));
	close_pipe(&pipe);
}

static void splicing_proxy_carries_both_ways(void)
{
	struct pair front = connected(), back = connected();
	struct proxy there = { .in = front.end[SERVER], .out = back.end[CLIENT] };
	struct proxy here = { .in = back.end[CLIENT], .out = front.end[SERVER] };
	struct flow request = flow_between(front.end[CLIENT], back.end[SERVER]);
	struct flow reply = flow_between(back.end[SERVER], front.end[CLIENT]);
	struct pump in[2], out[2];

	task_start(&there.task, run_proxy, &there);
	task_start(&here.task, run_proxy, &here);
	pump_out(&out[0], &request, KIB(400), 20000);
	pump_out(&out[1], &reply, KIB(400), 20000);
	pump_in(&in[0], &request, KIB(400), 20000);
	pump_in(&in[1], &reply, KIB(400), 20000);
	for (int i = 0; i < 2; i++) {
		pump_join(&in[i]);
		pump_join(&out[i]);
	}
	succeeds(shutdown(request.from, SHUT_WR));
	flow_end(&request);
	succeeds(shutdown(reply.from, SHUT_WR));
	flow_end(&reply);
	task_join(&there.task);
	task_join(&here.task);
}

const struct test splice_tests[] = {
	TEST_WAYS(splice_takes_what_is_there),
	TEST_WAYS(splice_waits_until_data_comes),
	TEST_WAYS(splice_gives_eagain_when_empty),
	TEST_WAYS(splice_gets_the_end_after_the_data),
	TEST_WAYS(splice_goes_on_after_recv),
	TEST_WAYS(splice_sends_what_is_in_a_pipe),
	TEST_WAYS(vmspliced_pages_arrive),
	TEST_WAYS(teed_bytes_arrive_and_stay),
	TEST_WAYS(spliced_and_sent_bytes_keep_their_order),
	TEST(splicing_proxy_carries_both_ways),
	{ 0 },
};
