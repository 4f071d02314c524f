// SPDX-License-Identifier: GPL-2.0-only
/* sendfile(). */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "sockets.h"

/* A file with the next @len bytes of the flow. */
static int file_of(const struct flow *flow, size_t len)
{
	int fd = succeeds(memfd_create("sendfile", MFD_CLOEXEC));

	returns(len, write(fd, flow_next(flow, len), len));
	succeeds(lseek(fd, 0, SEEK_SET));
	return fd;
}

static void sendfile_sends_a_file_of_1_mib(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int file = file_of(&flow, MIB(1));
	struct pump pump;
	size_t left = MIB(1);

	pump_out(&pump, &flow, MIB(1), 50000);
	while (left)
		left -= succeeds(sendfile(from, file, NULL, left));
	pump_join(&pump);
	close(file);
}

static void sendfile_sends_the_part_that_was_asked_for(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int file = file_of(&flow, 30000);
	off_t offset = 7777;

	flow.sent = flow.taken = 7777;
	returns(10000, sendfile(from, file, &offset, 10000));
	assert_int_equal(offset, 17777);
	assert_int_equal(lseek(file, 0, SEEK_CUR), 0);
	flow_sent(&flow, 10000);
	flow_drain(&flow);
	offset = 30000;
	returns(0, sendfile(from, file, &offset, 10000));
	close(file);
}

static void header_and_file_arrive_in_order(int from, int to)
{
	struct flow flow = flow_between(from, to);

	for (int i = 0; i < 5; i++) {
		int file;

		returns(300, flow_send(&flow, 300, MSG_MORE));
		file = file_of(&flow, 20000);
		returns(20000, sendfile(from, file, NULL, 20000));
		flow_sent(&flow, 20000);
		flow_put(&flow, 100);
		close(file);
	}
	flow_drain(&flow);
}

static void sendfile_to_a_full_socket_goes_on_later(void)
{
	struct pair pair = connected_small(16384);
	struct flow flow = flow_of(&pair, SERVER);
	size_t len = MIB(6);
	int file = file_of(&flow, len);
	size_t sent = 0;

	set_nonblocking(flow.from, true);
	while (sent < len) {
		ssize_t n = sendfile(flow.from, file, NULL, len - sent);

		if (n < 0) {
			require(errno == EAGAIN);
			flow_take(&flow, 1);
			flow_drain(&flow);
			await(has_events(flow.from, POLLOUT));
			continue;
		}
		sent += n;
		flow_sent(&flow, n);
	}
	flow_drain(&flow);
}

static void file_that_is_removed_arrives_whole(int from, int to)
{
	struct flow flow = flow_between(from, to);
	int file = file_of(&flow, 40000);

	returns(40000, sendfile(from, file, NULL, 40000));
	flow_sent(&flow, 40000);
	close(file);
	close(from);
	flow_drain(&flow);
	flow_end(&flow);
}

const struct test sendfile_tests[] = {
	TEST_WAYS(sendfile_sends_a_file_of_1_mib),
	TEST_WAYS(sendfile_sends_the_part_that_was_asked_for),
	TEST_WAYS(header_and_file_arrive_in_order),
	TEST(sendfile_to_a_full_socket_goes_on_later),
	TEST_WAYS(file_that_is_removed_arrives_whole),
	{ 0 },
};
