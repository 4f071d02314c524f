// SPDX-License-Identifier: GPL-2.0-only
/* Processes that share sockets, hand them on, and are killed. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "sockets.h"

/* What a process of a case is told. Forked, so a copy of its own. */
struct order {
	int fd, other;
	struct flow *flow;
	size_t len;
};

static void *shared(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	require(map != MAP_FAILED);
	return map;
}

static void take_some(void *arg)
{
	struct order *order = arg;

	flow_take(order->flow, order->len);
}

static void child_reads_on_where_its_parent_was(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct order order = { .flow = &flow, .len = 3000 };

	flow_put(&flow, 10000);
	flow_take(&flow, 1000);
	process_join(process_start(take_some, &order));
	flow.taken += 3000;
	flow_drain(&flow);
}

static void put_some(void *arg)
{
	struct order *order = arg;

	flow_put(order->flow, order->len);
}

static void child_writes_on_where_its_parent_was(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct order order = { .flow = &flow, .len = 3000 };

	flow_put(&flow, 1000);
	process_join(process_start(put_some, &order));
	flow_sent(&flow, 3000);
	flow_put(&flow, 1000);
	flow_drain(&flow);
}

static void duplicate_is_the_same_socket(int from, int to)
{
	int copy = succeeds(dup(to));

	say(from, "one two");
	hear(to, "one");
	hear(copy, " two");
	close(to);
	say(from, "three");
	hear(copy, "three");
	say(copy, "back");
	hear(from, "back");
	close(copy);
	hear_end(from);
}

static void wait_for_word(void *arg)
{
	struct order *order = arg;

	close(order->other);
	hear(order->fd, "go");
}

/* The word to go comes over another connection. */
static void the_end_comes_when_the_last_holder_closes(int from, int to)
{
	struct pair words = connected();
	struct order order = { .fd = words.end[SERVER], .other = to };
	pid_t pid = process_start(wait_for_word, &order);

	close(from);
	say(to, "still held");
	assert_int_equal(tcp_state(to), TCP_ESTABLISHED);
	assert_int_equal(events_of(to, POLLIN | POLLRDHUP), 0);
	/* The child's copy goes with it, unread data and all. */
	say(words.end[CLIENT], "go");
	process_join(pid);
	await(has_events(to, POLLIN | POLLRDHUP));
}

static void send_fd(int over, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .align = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec part = { "f", 1 };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	returns(1, sendmsg(over, &msg, 0));
}

static int receive_fd(int over)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	returns(1, recvmsg(over, &msg, 0));
	require(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* It has the socket by its message only: the others are closed on its side. */
static void serve_passed(void *arg)
{
	struct order *order = arg;
	int fd;

	close(order->other);
	fd = receive_fd(order->fd);
	hear(fd, "before after");
	say(fd, "served");
}

static void passed_socket_works_for_who_receives_it(int from, int to)
{
	int fds[2];
	struct order order = { .other = to };
	pid_t pid;

	succeeds(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	order.fd = fds[1];
	pid = process_start(serve_passed, &order);
	say(from, "before ");
	send_fd(fds[0], to);
	close(to);
	say(from, "after");
	hear(from, "served");
	process_join(pid);
	hear_end(from);
}

static void run_cat(void *arg)
{
	struct order *order = arg;

	succeeds(dup2(order->fd, STDIN_FILENO));
	succeeds(dup2(order->fd, STDOUT_FILENO));
	succeeds(execl("/bin/cat", "cat", NULL));
}

static void program_has_the_socket_as_input_and_output(int from, int to)
{
	struct flow there = flow_between(from, to);
	struct order order = { .fd = to };
	pid_t pid = process_start(run_cat, &order);
	struct flow back = there;

	close(to);
	back.to = from;
	for (int i = 0; i < 20; i++) {
		flow_put(&there, 1 + 500 * i);
		flow_take(&back, 1 + 500 * i);
	}
	succeeds(shutdown(from, SHUT_WR));
	await(has_events(from, POLLRDHUP));
	flow_end(&back);
	process_join(pid);
}

/* ---- several of them at once ------------------------------------------------- */

struct counts {
	atomic_ulong bytes, sum;
};

static struct counts *counts;

static void count_to_the_end(void *arg)
{
	struct order *order = arg;
	unsigned char buf[2000];
	ssize_t n;

	while ((n = succeeds(recv(order->fd, buf, sizeof(buf), 0)))) {
		counts->bytes += n;
		for (ssize_t i = 0; i < n; i++)
			counts->sum += buf[i] * buf[i];
	}
}

static unsigned long count_and_put(struct flow *flow, size_t len)
{
	const unsigned char *bytes = flow_next(flow, len);
	unsigned long sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += bytes[i] * bytes[i];
	flow_put(flow, len);
	return sum;
}

static void several_processes_read_each_byte_once(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct order order = { .fd = to };
	unsigned long sum = 0;
	pid_t pids[3];

	counts = shared(sizeof(*counts));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = process_start(count_to_the_end, &order);
	/* All of them sleep, and those that had nothing of the first byte again. */
	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < ARRAY_SIZE(pids); j++)
			await(sleeps_in(pids[j], SYS_recvfrom));
		if (!i)
			sum += count_and_put(&flow, 1);
	}
	for (int i = 0; i < 150; i++)
		sum += count_and_put(&flow, 1500);
	succeeds(shutdown(from, SHUT_WR));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		process_join(pids[i]);
	assert_int_equal(counts->bytes, flow.sent);
	assert_int_equal(counts->sum, sum);
}

static void write_lines(void *arg)
{
	struct order *order = arg;
	char line[100];

	memset(line, 'a' + (int)order->len, sizeof(line));
	line[sizeof(line) - 1] = '\n';
	for (int i = 0; i < 50; i++)
		returns(sizeof(line), write(order->fd, line, sizeof(line)));
}

static void lines_of_several_processes_stay_whole(int from, int to)
{
	int seen[3] = { 0 };
	char line[100];
	pid_t pids[3];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		struct order order = { .fd = from, .len = i };

		pids[i] = process_start(write_lines, &order);
	}
	for (int i = 0; i < 150; i++) {
		for (size_t have = 0; have < sizeof(line);)
			have += succeeds(recv(to, line + have, sizeof(line) - have, 0));
		assert_in_range(line[0], 'a', 'c');
		seen[line[0] - 'a']++;
		for (size_t j = 0; j < sizeof(line); j++)
			assert_int_equal(line[j], j < sizeof(line) - 1 ? line[0] : '\n');
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		process_join(pids[i]);
		assert_int_equal(seen[i], 50);
	}
}

/* ---- killed -------------------------------------------------------------------- */

static void read_for_ever(void *arg)
{
	struct order *order = arg;
	char buf[100];

	close(order->other);
	while (succeeds(recv(order->fd, buf, sizeof(buf), 0)))
		;
}

static void killed_reader_is_an_end_to_its_peer(int from, int to)
{
	struct order order = { .fd = to, .other = from };
	pid_t pid = process_start(read_for_ever, &order);

	close(to);
	await(sleeps_in(pid, SYS_recvfrom));
	say(from, "last words");
	await(unacknowledged(from) == 0 && sleeps_in(pid, SYS_recvfrom));
	process_kill(pid);
	hear_end(from);
}

static void hold(void *arg)
{
	struct order *order = arg;

	close(order->other);
	await(has_bytes(order->fd, 6));
	pause();
}

static void process_killed_with_unread_data_is_a_reset(int from, int to)
{
	struct order order = { .fd = to, .other = from };
	pid_t pid = process_start(hold, &order);
	char byte;

	close(to);
	say(from, "unread");
	await(sleeps_in(pid, SYS_pause));
	process_kill(pid);
	await(has_events(from, POLLIN));
	fails(ECONNRESET, recv(from, &byte, 1, 0));
}

static void write_for_ever(void *arg)
{
	struct order *order = arg;

	close(order->other);
	for (;;)
		flow_put(order->flow, 10000);
}

static void what_a_killed_writer_sent_arrives_right(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct order order = { .flow = &flow, .other = to };
	pid_t pid = process_start(write_for_ever, &order);
	ssize_t n;

	close(from);
	flow_take(&flow, 50000);
	await(sleeps_in(pid, SYS_sendto));
	process_kill(pid);
	while ((n = succeeds(flow_recv(&flow, 60000, 0))) > 0)
		;
	flow_end(&flow);
}

const struct test process_tests[] = {
	TEST_WAYS(child_reads_on_where_its_parent_was),
	TEST_WAYS(child_writes_on_where_its_parent_was),
	TEST_WAYS(duplicate_is_the_same_socket),
	TEST_WAYS(the_end_comes_when_the_last_holder_closes),
	TEST_WAYS(passed_socket_works_for_who_receives_it),
	TEST_WAYS(program_has_the_socket_as_input_and_output),
	TEST_WAYS(several_processes_read_each_byte_once),
	TEST_WAYS(lines_of_several_processes_stay_whole),
	TEST_WAYS(killed_reader_is_an_end_to_its_peer),
	TEST_WAYS(process_killed_with_unread_data_is_a_reset),
	TEST_WAYS(what_a_killed_writer_sent_arrives_right),
	{ 0 },
};
