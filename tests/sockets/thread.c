// SPDX-License-Identifier: GPL-2.0-only
/* Threads that share a socket. */
#include "sockets.h"

#define THREADS 4

/* How often each value of a byte was seen. */
struct histogram {
	atomic_ulong count[256];
	atomic_ulong total;
};

static void count_bytes(struct histogram *histogram, const unsigned char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		histogram->count[buf[i]]++;
	histogram->total += len;
}

struct sharer {
	struct task task;
	int fd, nr;
	struct histogram *histogram;
};

static void read_to_the_end(void *arg)
{
	struct sharer *sharer = arg;
	unsigned char buf[3000];
	unsigned int seed = sharer->nr + 1;
	ssize_t n;

	while ((n = succeeds(recv(sharer->fd, buf, 1 + random_below(&seed, sizeof(buf)), 0))))
		count_bytes(sharer->histogram, buf, n);
}

static void several_readers_get_each_byte_once(int from, int to)
{
	static struct histogram got, right;
	struct flow flow = flow_between(from, to);
	struct sharer sharers[THREADS];
	unsigned int seed = 11;

	memset(&got, 0, sizeof(got));
	memset(&right, 0, sizeof(right));
	for (int i = 0; i < THREADS; i++) {
		sharers[i] = (struct sharer){ .fd = to, .nr = i, .histogram = &got };
		task_start(&sharers[i].task, read_to_the_end, &sharers[i]);
		await(sleeps_in(sharers[i].task.tid, SYS_recvfrom));
	}
	for (int i = 0; i < 150; i++) {
		size_t len = 1 + random_below(&seed, 4000);

		count_bytes(&right, flow_next(&flow, len), len);
		flow_put(&flow, len);
	}
	succeeds(shutdown(from, SHUT_WR));
	for (int i = 0; i < THREADS; i++)
		task_join(&sharers[i].task);
	assert_int_equal(got.total, right.total);
	assert_memory_equal(&got, &right, sizeof(got));
}

static void second_reader_sleeps_on_for_the_second_message(int from, int to)
{
	struct call calls[2];

	for (int i = 0; i < 2; i++)
		recv_begin(&calls[i], to, 100, 0);
	say(from, "one");
	await(calls[0].task.done || calls[1].task.done);
	for (int i = 0; i < 2; i++)
		call_settles(&calls[i]);
	say(from, "two");
	for (int i = 0; i < 2; i++)
		call_returns(&calls[i], 3);
	assert_memory_not_equal(calls[0].buf, calls[1].buf, 3);
}

static void all_blocked_readers_get_the_end(int from, int to)
{
	struct call calls[THREADS];

	for (int i = 0; i < THREADS; i++)
		recv_begin(&calls[i], to, 100, 0);
	succeeds(shutdown(from, SHUT_WR));
	for (int i = 0; i < THREADS; i++)
		call_returns(&calls[i], 0);
}

/* ---- several writers --------------------------------------------------------- */

#define RECORD 1000
#define RECORDS 20 /* of each thread: all of them fit into the buffers */

struct record {
	uint32_t writer, nr;
	unsigned char bytes[RECORD - 8];
};

static void make_record(struct record *record, uint32_t writer, uint32_t nr)
{
	record->writer = writer;
	record->nr = nr;
	fill(record->bytes, sizeof(record->bytes), 1000 + writer, nr);
}

static void write_records(void *arg)
{
	struct sharer *sharer = arg;
	struct record record;

	for (int i = 0; i < RECORDS; i++) {
		make_record(&record, sharer->nr, i);
		returns(RECORD, send(sharer->fd, &record, RECORD, 0));
	}
}

static void records_of_several_writers_stay_whole(int from, int to)
{
	struct sharer sharers[THREADS];
	uint32_t next[THREADS] = { 0 };
	struct record record, right;

	set_option(from, SOL_SOCKET, SO_SNDBUFFORCE, MIB(1));
	for (int i = 0; i < THREADS; i++) {
		sharers[i] = (struct sharer){ .fd = from, .nr = i };
		task_start(&sharers[i].task, write_records, &sharers[i]);
	}
	for (int i = 0; i < THREADS * RECORDS; i++) {
		for (size_t have = 0; have < RECORD;)
			have += succeeds(recv(to, (char *)&record + have, RECORD - have, 0));
		assert_in_range(record.writer, 0, THREADS - 1);
		assert_int_equal(record.nr, next[record.writer]);
		make_record(&right, record.writer, next[record.writer]++);
		assert_memory_equal(&record, &right, RECORD);
	}
	for (int i = 0; i < THREADS; i++)
		task_join(&sharers[i].task);
}

/* ---- other company ------------------------------------------------------------- */

static void both_directions_flow_at_once(void)
{
	struct pair pair = connected();
	struct flow flows[2];
	struct pump in[2], out[2];

	for (int i = 0; i < 2; i++) {
		flows[i] = flow_of(&pair, i);
		pump_out(&out[i], &flows[i], KIB(700), 30000);
		pump_in(&in[i], &flows[i], KIB(700), 30000);
	}
	for (int i = 0; i < 2; i++) {
		pump_join(&in[i]);
		pump_join(&out[i]);
	}
}

static atomic_bool stop;

static void change_options(void *arg)
{
	const int *fds = arg;

	for (int i = 0; !stop; i++) {
		int fd = fds[i & 1];

		set_option(fd, SOL_SOCKET, SO_RCVBUF, 100000 + 1000 * (i % 50));
		set_option(fd, SOL_SOCKET, SO_SNDBUF, 100000 + 1000 * (i % 50));
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, i & 2);
		set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
		events_of(fd, POLLIN | POLLOUT);
		nap();
	}
}

static void options_change_while_bytes_flow(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int fds[] = { from, to };
	struct task task;
	struct pump pump;

	stop = false;
	task_start(&task, change_options, fds);
	pump_in(&pump, &flow, KIB(400), 10000);
	flow_take(&flow, KIB(400));
	pump_join(&pump);
	stop = true;
	task_join(&task);
}

/* The one that looks first must not take from the one that reads. */
static void peeking_thread_leaves_all_to_the_reader(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call peeker, reader;

	recv_begin(&peeker, to, 500, MSG_PEEK);
	flow_put(&flow, 400);
	call_returns(&peeker, 400);
	flow_take(&flow, 400);
	recv_begin(&reader, to, 500, 0);
	flow_put(&flow, 300);
	call_returns(&reader, 300);
	flow_check(&flow, reader.buf, 300);
}

const struct test thread_tests[] = {
	TEST_WAYS(several_readers_get_each_byte_once),
	TEST_WAYS(second_reader_sleeps_on_for_the_second_message),
	TEST_WAYS(all_blocked_readers_get_the_end),
	TEST_WAYS(records_of_several_writers_stay_whole),
	TEST(both_directions_flow_at_once),
	TEST_WAYS(options_change_while_bytes_flow),
	TEST_WAYS(peeking_thread_leaves_all_to_the_reader),
	{ 0 },
};
