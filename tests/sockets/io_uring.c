// SPDX-License-Identifier: GPL-2.0-only
/* io_uring. */
#include <liburing.h>

#include "sockets.h"

#define GROUP 7

static struct io_uring ring;

static void open_ring(void)
{
	int err = io_uring_queue_init(16, &ring, 0);

	if (err)
		skip_case("the kernel refuses io_uring: %s", strerror(-err));
}

static struct io_uring_sqe *next_sqe(unsigned long name)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	require(sqe);
	io_uring_sqe_set_data64(sqe, name);
	return sqe;
}

static void submit(void)
{
	int err = io_uring_submit(&ring);

	if (err < 0)
		give_up(__FILE__, __LINE__, "io_uring_submit: %s", strerror(-err));
}

struct done {
	unsigned long name;
	int res;
	unsigned int flags;
};

/* The next completion, which is that of @name if it is not 0. */
static struct done completion(unsigned long name)
{
	struct __kernel_timespec most = {
		.tv_sec = await_ms / 1000,
		.tv_nsec = await_ms % 1000 * 1000000,
	};
	struct io_uring_cqe *cqe;
	struct done done;
	int err;

	do
		err = io_uring_wait_cqe_timeout(&ring, &cqe, &most);
	while (err == -EINTR);
	if (err)
		give_up(__FILE__, __LINE__, "no completion: %s", strerror(-err));
	done = (struct done){ cqe->user_data, cqe->res, cqe->flags };
	io_uring_cqe_seen(&ring, cqe);
	if (name && done.name != name)
		give_up(__FILE__, __LINE__, "completion of %lu, expected %lu", done.name, name);
	return done;
}

static void completes(unsigned long name, int want)
{
	int res = completion(name).res;

	if (res != want)
		give_up(__FILE__, __LINE__, "completed with %d (%s), expected %d", res,
			res < 0 ? strerror(-res) : "no error", want);
}

static bool is_pending(void)
{
	struct io_uring_cqe *cqe;

	return io_uring_peek_cqe(&ring, &cqe) == -EAGAIN;
}

static void uring_recv_waits_until_data_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char buf[1000];

	open_ring();
	io_uring_prep_recv(next_sqe(1), to, buf, sizeof(buf), 0);
	submit();
	assert_true(is_pending());
	flow_put(&flow, 600);
	completes(1, 600);
	flow_check(&flow, buf, 600);
}

static void uring_recv_takes_what_is_there(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char buf[1000];

	open_ring();
	flow_put(&flow, 600);
	await(has_bytes(to, 600));
	io_uring_prep_recv(next_sqe(1), to, buf, 400, 0);
	submit();
	completes(1, 400);
	flow_check(&flow, buf, 400);
	io_uring_prep_read(next_sqe(2), to, buf, sizeof(buf), 0);
	submit();
	completes(2, 200);
	flow_check(&flow, buf, 200);
}

static void uring_recv_of_all_waits_for_all(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char buf[1000];

	open_ring();
	io_uring_prep_recv(next_sqe(1), to, buf, sizeof(buf), MSG_WAITALL);
	submit();
	flow_put(&flow, 600);
	await(!has_bytes(to, 600));
	assert_true(is_pending());
	flow_put(&flow, 600);
	completes(1, 1000);
	flow_check(&flow, buf, 1000);
	flow_drain(&flow);
}

static void uring_recv_gets_the_end_and_the_reset(int from, int to)
{
	const struct linger linger = { .l_onoff = 1 };
	char buf[10];

	open_ring();
	io_uring_prep_recv(next_sqe(1), to, buf, sizeof(buf), 0);
	io_uring_prep_recv(next_sqe(2), from, buf, sizeof(buf), 0);
	submit();
	succeeds(shutdown(from, SHUT_WR));
	completes(1, 0);
	succeeds(setsockopt(to, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(to);
	completes(2, -ECONNRESET);
}

static void uring_sends_and_writes_arrive(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct iovec parts[2];
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };

	open_ring();
	io_uring_prep_send(next_sqe(1), from, flow_next(&flow, 9000), 9000, 0);
	submit();
	completes(1, 9000);
	flow_sent(&flow, 9000);
	io_uring_prep_write(next_sqe(2), from, flow_next(&flow, 5000), 5000, 0);
	submit();
	completes(2, 5000);
	flow_sent(&flow, 5000);
	parts[0] = (struct iovec){ flow_next(&flow, 3000), 1000 };
	parts[1] = (struct iovec){ (char *)parts[0].iov_base + 1000, 2000 };
	io_uring_prep_sendmsg(next_sqe(3), from, &msg, 0);
	submit();
	completes(3, 3000);
	flow_sent(&flow, 3000);
	parts[0].iov_base = flow_next(&flow, 3000);
	parts[1].iov_base = (char *)parts[0].iov_base + 1000;
	io_uring_prep_writev(next_sqe(4), from, parts, 2, 0);
	submit();
	completes(4, 3000);
	flow_sent(&flow, 3000);
	flow_drain(&flow);
}

static void uring_recvmsg_and_readv_fill_their_parts(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char a[100], b[400];
	struct iovec parts[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };

	open_ring();
	for (int i = 0; i < 2; i++) {
		if (i)
			io_uring_prep_readv(next_sqe(1), to, parts, 2, 0);
		else
			io_uring_prep_recvmsg(next_sqe(1), to, &msg, 0);
		submit();
		flow_put(&flow, 300);
		completes(1, 300);
		flow_check(&flow, a, 100);
		flow_check(&flow, b, 200);
	}
}

static void uring_poll_completes_when_data_comes(int from, int to)
{
	open_ring();
	io_uring_prep_poll_add(next_sqe(1), to, POLLIN);
	submit();
	assert_true(is_pending());
	say(from, "a");
	assert_int_equal(completion(1).res & POLLIN, POLLIN);
	hear(to, "a");
	io_uring_prep_poll_add(next_sqe(2), to, POLLIN | POLLRDHUP);
	submit();
	assert_true(is_pending());
	succeeds(shutdown(from, SHUT_WR));
	assert_true(completion(2).res & POLLRDHUP);
}

static void uring_multishot_poll_completes_for_each_arrival(int from, int to)
{
	open_ring();
	io_uring_prep_poll_multishot(next_sqe(1), to, POLLIN);
	submit();
	for (int i = 0; i < 10; i++) {
		struct done done;

		say(from, "a");
		done = completion(1);
		assert_int_equal(done.res & POLLIN, POLLIN);
		assert_true(done.flags & IORING_CQE_F_MORE);
		hear(to, "a");
		/* One arrival may wake more than once. */
		while (!is_pending())
			completion(1);
	}
}

static void uring_multishot_recv_fills_provided_buffers(int from, int to)
{
	struct flow flow = flow_between(from, to);
	static char buffers[8][1000];
	struct io_uring_sqe *sqe;
	struct done done;
	int res;

	open_ring();
	io_uring_prep_provide_buffers(next_sqe(1), buffers, 1000, 8, GROUP, 0);
	submit();
	completes(1, 0);
	sqe = next_sqe(2);
	io_uring_prep_recv_multishot(sqe, to, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	submit();
	for (int i = 0; i < 5; i++) {
		flow_put(&flow, 500 + i);
		done = completion(2);
		if (done.res == -EINVAL)
			skip_case("this kernel has no multishot recv");
		require(done.res == 500 + i);
		require(done.flags & IORING_CQE_F_BUFFER);
		require(done.flags & IORING_CQE_F_MORE);
		flow_check(&flow, buffers[done.flags >> IORING_CQE_BUFFER_SHIFT], done.res);
	}
	succeeds(shutdown(from, SHUT_WR));
	done = completion(2);
	res = done.res;
	assert_int_equal(res, 0);
	assert_false(done.flags & IORING_CQE_F_MORE);
}

static void uring_zerocopy_send_arrives_and_completes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct done done;

	open_ring();
	for (int i = 0; i < 3; i++) {
		io_uring_prep_send_zc(next_sqe(1), from, flow_next(&flow, 20000), 20000, 0, 0);
		submit();
		done = completion(1);
		if (done.res == -EINVAL)
			skip_case("this kernel has no SEND_ZC");
		if (done.res != 20000)
			give_up(__FILE__, __LINE__, "completed with %d, %s", done.res,
				strerror(-done.res));
		require(done.flags & IORING_CQE_F_MORE);
		flow_sent(&flow, 20000);
		flow_drain(&flow);
		done = completion(1);
		require(done.flags & IORING_CQE_F_NOTIF);
	}
}

static void uring_send_to_a_stalled_reader_completes_when_read(void)
{
	struct pair pair = connected_small(16384);
	struct flow flow = flow_of(&pair, CLIENT);
	size_t len = MIB(6);

	open_ring();
	io_uring_prep_send(next_sqe(1), flow.from, flow_next(&flow, len), len, MSG_WAITALL);
	submit();
	assert_true(is_pending());
	flow_take(&flow, len);
	completes(1, len);
}

static void uring_linked_sends_keep_their_order(int from, int to)
{
	struct flow flow = flow_between(from, to);

	open_ring();
	for (int i = 0; i < 8; i++) {
		struct io_uring_sqe *sqe = next_sqe(1);
		size_t len = 1 + 900 * i;

		io_uring_prep_send(sqe, from, flow_next(&flow, len), len, MSG_WAITALL);
		if (i < 7)
			sqe->flags |= IOSQE_IO_LINK;
		flow_sent(&flow, len);
	}
	submit();
	for (int i = 0; i < 8; i++)
		completes(1, 1 + 900 * i);
	flow_drain(&flow);
}

static void uring_cancelled_recv_loses_nothing(int from, int to)
{
	unsigned int found = 0;
	char buf[10];

	open_ring();
	io_uring_prep_recv(next_sqe(1), to, buf, sizeof(buf), 0);
	submit();
	io_uring_prep_cancel64(next_sqe(2), 1, 0);
	submit();
	for (int i = 0; i < 2; i++) {
		struct done done = completion(0);

		if (done.name == 1)
			assert_int_equal(done.res, -ECANCELED);
		found += done.name;
	}
	assert_int_equal(found, 3);
	say(from, "after");
	hear(to, "after");
}

static void uring_recv_into_fixed_buffer_and_file(int from, int to)
{
	struct flow flow = flow_between(from, to);
	static char buf[4096];
	struct iovec part = { buf, sizeof(buf) };
	struct io_uring_sqe *sqe;

	open_ring();
	returns(0, io_uring_register_buffers(&ring, &part, 1));
	returns(0, io_uring_register_files(&ring, &to, 1));
	for (int i = 0; i < 3; i++) {
		sqe = next_sqe(1);
		io_uring_prep_read_fixed(sqe, 0, buf, sizeof(buf), 0, 0);
		sqe->flags |= IOSQE_FIXED_FILE;
		submit();
		flow_put(&flow, 3000);
		completes(1, 3000);
		flow_check(&flow, buf, 3000);
	}
}

static void uring_shutdown_and_close_end_the_connection(int from, int to)
{
	open_ring();
	say(from, "last");
	io_uring_prep_shutdown(next_sqe(1), from, SHUT_WR);
	submit();
	completes(1, 0);
	hear(to, "last");
	hear_end(to);
	io_uring_prep_close(next_sqe(2), to);
	submit();
	completes(2, 0);
	hear_end(from);
}

/* ---- a connection that goes back to TCP meanwhile --------------------------------- */

/* With the first of them the call is tried at once, with the second by a worker. */
static const unsigned int tries[] = { 0, IOSQE_ASYNC };

static void release_late(void *arg)
{
	release_all();
}

static void uring_recv_goes_on_after_release(void)
{
	char buf[1000];

	open_ring();
	for (size_t i = 0; i < 2 * ARRAY_SIZE(tries); i++) {
		struct pair pair = connected();
		struct flow flow = flow_of(&pair, i & 1);
		struct io_uring_sqe *sqe;

		warm_up(flow.from, flow.to);
		sqe = next_sqe(1);
		io_uring_prep_recv(sqe, flow.to, buf, sizeof(buf), MSG_WAITALL);
		sqe->flags |= tries[i / 2];
		submit();
		/* Some of it before. */
		flow_put(&flow, 300);
		await(!has_bytes(flow.to, 300));
		assert_true(is_pending());
		release_all();
		flow_put(&flow, 900);
		completes(1, 1000);
		flow_check(&flow, buf, 1000);
		flow_drain(&flow);
		warm_up(flow.from, flow.to);
		close_pair(&pair);
	}
}

static void uring_send_goes_on_after_release(void)
{
	open_ring();
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		struct pair pair = connected_small(65536);
		struct flow flow = flow_of(&pair, CLIENT);
		size_t len = MIB(6);
		struct io_uring_sqe *sqe;
		struct task release;

		warm_up(flow.from, flow.to);
		sqe = next_sqe(1);
		io_uring_prep_send(sqe, flow.from, flow_next(&flow, len), len, MSG_WAITALL);
		sqe->flags |= tries[i];
		submit();
		flow_take(&flow, 20000);
		assert_true(is_pending());
		/* It waits until what was redirected has been read. */
		task_start(&release, release_late, NULL);
		flow_take(&flow, len - 20000);
		completes(1, len);
		task_join(&release);
		warm_up(flow.from, flow.to);
		close_pair(&pair);
	}
}

const struct test io_uring_tests[] = {
	TEST_WAYS(uring_recv_waits_until_data_comes),
	TEST_WAYS(uring_recv_takes_what_is_there),
	TEST_WAYS(uring_recv_of_all_waits_for_all),
	TEST_WAYS(uring_recv_gets_the_end_and_the_reset),
	TEST_WAYS(uring_sends_and_writes_arrive),
	TEST_WAYS(uring_recvmsg_and_readv_fill_their_parts),
	TEST_WAYS(uring_poll_completes_when_data_comes),
	TEST_WAYS(uring_multishot_poll_completes_for_each_arrival),
	TEST_WAYS(uring_multishot_recv_fills_provided_buffers),
	TEST_WAYS(uring_zerocopy_send_arrives_and_completes),
	TEST(uring_send_to_a_stalled_reader_completes_when_read),
	TEST_WAYS(uring_linked_sends_keep_their_order),
	TEST_WAYS(uring_cancelled_recv_loses_nothing),
	TEST_WAYS(uring_recv_into_fixed_buffer_and_file),
	TEST_WAYS(uring_shutdown_and_close_end_the_connection),
	TEST(uring_recv_goes_on_after_release),
	TEST(uring_send_goes_on_after_release),
	{ 0 },
};
