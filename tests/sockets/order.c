// SPDX-License-Identifier: GPL-2.0-only
/* Bytes and their order, whatever calls are mixed. */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "sockets.h"

static void requests_and_replies_of_any_size_are_right(void)
{
	struct pair pair = connected();
	struct flow there = flow_of(&pair, CLIENT), back = flow_of(&pair, SERVER);
	unsigned int seed = 17;

	for (int i = 0; i < 300; i++) {
		size_t limit = i % 10 ? 3000 : 60000;
		size_t request = 1 + random_below(&seed, limit);
		size_t reply = 1 + random_below(&seed, limit);

		flow_put(&there, request);
		flow_take(&there, request);
		flow_put(&back, reply);
		flow_take(&back, reply);
	}
}

static void connections_are_not_mixed_up(void)
{
	struct pair pairs[24];
	struct flow flows[ARRAY_SIZE(pairs)][2];
	unsigned int seed = 23;

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		pairs[i] = connected();
		for (int side = 0; side < 2; side++) {
			flows[i][side] = flow_of(&pairs[i], side);
			set_option(pairs[i].end[side], IPPROTO_TCP, TCP_NODELAY, 1);
		}
	}
	for (int i = 0; i < 600; i++) {
		struct flow *flow =
			&flows[random_below(&seed, ARRAY_SIZE(pairs))][random_below(&seed, 2)];

		flow_put(flow, 1 + random_below(&seed, 2000));
		if (random_below(&seed, 3))
			flow_drain(flow);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		for (int side = 0; side < 2; side++) {
			flow_drain(&flows[i][side]);
			succeeds(shutdown(flows[i][side].from, SHUT_WR));
			flow_end(&flows[i][side]);
		}
	}
}

static void large_messages_are_right(int from, int to)
{
	struct flow flow = flow_between(from, to);

	for (int i = 0; i < 3; i++) {
		size_t len = KIB(300) + i;
		char *bytes = flow_next(&flow, len);
		struct pump pump;

		pump_out(&pump, &flow, len, KIB(64));
		returns(len, write(from, bytes, len));
		flow_sent(&flow, len);
		pump_join(&pump);
	}
}

/* ---- every call mixed with every other ------------------------------------------ */

struct mixer {
	struct task task;
	struct flow *flow;
	size_t len; /* in all */
	int pipe[2];
};

static ssize_t send_file(struct flow *flow, const void *bytes, size_t len)
{
	int file = succeeds(memfd_create("mixed", MFD_CLOEXEC));
	off_t offset = 0;
	ssize_t n;

	returns(len, write(file, bytes, len));
	n = sendfile(flow->from, file, &offset, len);
	close(file);
	return n;
}

static ssize_t send_somehow(struct mixer *mixer, size_t len, unsigned int how)
{
	const char *bytes = flow_next(mixer->flow, len);
	int fd = mixer->flow->from;
	struct iovec parts[] = { { (void *)bytes, len / 3 },
				 { (void *)(bytes + len / 3), len - len / 3 } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };

	switch (how) {
	case 0:
		return write(fd, bytes, len);
	case 1:
		return writev(fd, parts, 2);
	case 2:
		return sendmsg(fd, &msg, 0);
	case 3:
		return send(fd, bytes, len, MSG_MORE);
	case 4:
		return send_file(mixer->flow, bytes, len);
	case 5:
		returns(len, write(mixer->pipe[1], bytes, len));
		return splice(mixer->pipe[0], NULL, fd, NULL, len, 0);
	default:
		return send(fd, bytes, len, 0);
	}
}

static void send_mixed(void *arg)
{
	struct mixer *mixer = arg;
	unsigned int seed = 31;

	succeeds(pipe2(mixer->pipe, O_CLOEXEC));
	while (mixer->flow->sent < mixer->len) {
		size_t len = 1 + random_below(&seed, 6000);
		size_t left = mixer->len - mixer->flow->sent;

		len = len < left ? len : left;
		returns(len, send_somehow(mixer, len, random_below(&seed, 8)));
		flow_sent(mixer->flow, len);
	}
	/* What MSG_MORE holds back goes out with the end. */
	succeeds(shutdown(mixer->flow->from, SHUT_WR));
}

static ssize_t receive_somehow(struct flow *flow, size_t len, unsigned int how)
{
	char a[2000], b[6000];
	struct iovec parts[] = { { a, sizeof(a) }, { b, len } };
	struct flow copy = *flow;
	ssize_t n;

	switch (how) {
	case 0:
		n = readv(flow->to, parts, 2);
		if (n > 0)
			flow_check(flow, a, n < (ssize_t)sizeof(a) ? n : (ssize_t)sizeof(a));
		if (n > (ssize_t)sizeof(a))
			flow_check(flow, b, n - sizeof(a));
		return n;
	case 1:
		flow_recv(&copy, len, MSG_PEEK);
		return flow_recv(flow, len, 0);
	case 2:
		flow_recv(&copy, len, MSG_PEEK | MSG_DONTWAIT);
		return flow_recv(flow, len, 0);
	case 3:
		return flow_recv(flow, len, MSG_WAITALL);
	case 4:
		while (!events_of(flow->to, POLLIN))
			;
		return flow_recv(flow, len, MSG_DONTWAIT);
	default:
		return flow_recv(flow, len, 0);
	}
}

static void mixed_calls_keep_the_order(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct mixer mixer = { .flow = &flow, .len = KIB(600) };
	unsigned int seed = 37;

	task_start(&mixer.task, send_mixed, &mixer);
	while (succeeds(
		receive_somehow(&flow, 1 + random_below(&seed, 5000), random_below(&seed, 8))))
		;
	task_join(&mixer.task);
	assert_int_equal(flow.taken, mixer.len);
	flow_end(&flow);
}

const struct test order_tests[] = {
	TEST(requests_and_replies_of_any_size_are_right),
	TEST(connections_are_not_mixed_up),
	TEST_WAYS(large_messages_are_right),
	TEST_WAYS(mixed_calls_keep_the_order),
	{ 0 },
};
