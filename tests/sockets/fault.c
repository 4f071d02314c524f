// SPDX-License-Identifier: GPL-2.0-only
/* Buffers whose pages come late, as those of a program that is swapped out or
 * migrated: userfaultfd lets a thread of the case bring them.
 */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "sockets.h"

#define PAGES 4

struct late {
	int fd;
	char *map;
	size_t page;
};

static struct late late_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct late late = { .page = sysconf(_SC_PAGESIZE) };
	struct uffdio_register range;

	late.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (late.fd < 0)
		skip_case("the kernel refuses userfaultfd: %s", strerror(errno));
	succeeds(ioctl(late.fd, UFFDIO_API, &api));
	late.map = mmap(NULL, PAGES * late.page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(late.map != MAP_FAILED);
	range = (struct uffdio_register){
		.range = { (uintptr_t)late.map, PAGES * late.page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	succeeds(ioctl(late.fd, UFFDIO_REGISTER, &range));
	return late;
}

/* Somebody waits for a page: bring it, with the bytes at @from. */
static void bring_page(const struct late *late, const char *from)
{
	struct uffdio_copy copy = { .len = late->page };
	struct uffd_msg msg;

	await(has_events(late->fd, POLLIN));
	returns(sizeof(msg), read(late->fd, &msg, sizeof(msg)));
	require(msg.event == UFFD_EVENT_PAGEFAULT);
	copy.dst = msg.arg.pagefault.address & ~(late->page - 1);
	copy.src = (uintptr_t)from + copy.dst - (uintptr_t)late->map;
	succeeds(ioctl(late->fd, UFFDIO_COPY, &copy));
}

static void run_disconnect(void *arg)
{
	disconnect(*(int *)arg);
}

static void message_whose_pages_come_late_arrives_right(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct late late = late_memory();
	size_t len = PAGES * late.page;
	const char *bytes = flow_next(&flow, len);
	struct call call = { .fd = from, .buf = late.map, .len = len };

	send_late(&call);
	for (int i = 0; i < PAGES; i++)
		bring_page(&late, bytes);
	flow_take(&flow, len);
	call_returns(&call, len);
	close(late.fd);
}

static void buffer_whose_pages_come_late_is_filled_right(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct late late = late_memory();
	size_t len = PAGES * late.page;
	char *zeros = calloc(PAGES, late.page);
	struct call call = { .fd = to, .buf = late.map, .len = len };

	flow_put(&flow, len);
	await(has_bytes(to, len));
	recv_late(&call);
	for (int i = 0; i < PAGES; i++)
		bring_page(&late, zeros);
	call_returns(&call, len);
	flow_check(&flow, late.map, len);
	close(late.fd);
	free(zeros);
}

/* The bytes that it copies are not given to anybody else meanwhile. */
static void disconnect_in_the_middle_of_a_copy(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct late late = late_memory();
	size_t len = PAGES * late.page;
	char *zeros = calloc(PAGES, late.page);
	struct call call = { .fd = to, .buf = late.map, .len = len };
	struct task task;

	warm_up(from, to);
	flow_put(&flow, len);
	await(has_bytes(to, len));
	recv_late(&call);
	await(has_events(late.fd, POLLIN));
	task_start(&task, run_disconnect, &to);
	while (!call.task.done) {
		await(call.task.done || has_events(late.fd, POLLIN));
		if (!call.task.done)
			bring_page(&late, zeros);
	}
	call_join(&call);
	task_join(&task);
	assert_in_range(call.returned, 1, len);
	flow_check(&flow, late.map, call.returned);
	close(late.fd);
	free(zeros);
}

/* ---- a page that never comes -------------------------------------------------- */

/* What the other end may do meanwhile has an end of its own: it takes at most so much
 * longer than that.
 */
#define AT_MOST_MS 2000
#define TIMEOUT_MS 200

struct stuck {
	int fd, unused; /* the other end of the connection: not for this process */
	const char *bytes;
};

static struct late never_memory(const char *first_page)
{
	struct late late = late_memory();
	struct uffdio_copy copy = { .dst = (uintptr_t)late.map,
				    .src = (uintptr_t)first_page,
				    .len = late.page };

	if (first_page)
		succeeds(ioctl(late.fd, UFFDIO_COPY, &copy));
	return late;
}

/* The first page is there, the second never comes. */
static void send_for_ever(void *arg)
{
	const struct stuck *stuck = arg;
	struct late late = never_memory(stuck->bytes);

	close(stuck->unused);
	send(stuck->fd, late.map, PAGES * late.page, MSG_NOSIGNAL);
	give_up(__FILE__, __LINE__, "send() has returned");
}

/* No page comes. */
static void recv_for_ever(void *arg)
{
	const struct stuck *stuck = arg;
	struct late late = never_memory(NULL);

	close(stuck->unused);
	recv(stuck->fd, late.map, PAGES * late.page, 0);
	give_up(__FILE__, __LINE__, "recv() has returned");
}

static pid_t start_stuck(void (*run)(void *arg), struct stuck *stuck, long number)
{
	/* Skips the case if there is no such memory. */
	struct late late = late_memory();
	pid_t pid;

	close(late.fd);
	munmap(late.map, PAGES * late.page);
	pid = process_start(run, stuck);
	await(sleeps_in(pid, number));
	return pid;
}

static pid_t stuck_sender(const struct flow *flow)
{
	struct stuck stuck = { .fd = flow->from,
			       .unused = flow->to,
			       .bytes = flow_next(flow, sysconf(_SC_PAGESIZE)) };

	return start_stuck(send_for_ever, &stuck, SYS_sendto);
}

/* With bytes to read: else it would wait for them. */
static pid_t stuck_reader(struct flow *flow)
{
	struct stuck stuck = { .fd = flow->to, .unused = flow->from };

	flow_put(flow, 1000);
	await(has_bytes(flow->to, 1000));
	return start_stuck(recv_for_ever, &stuck, SYS_recvfrom);
}

/* A byte that can be sent is sent at once, whatever the reader does. */
static void send_byte(struct flow *flow)
{
	struct call call = {
		.fd = flow->from, .flags = MSG_DONTWAIT, .buf = flow_next(flow, 1), .len = 1
	};
	long end = now_ms() + AT_MOST_MS;

	send_late(&call);
	while (!call.task.done && now_ms() < end)
		nap();
	require(call.task.done);
	call_returns(&call, 1);
	flow_sent(flow, 1);
}

static void set_timeout(int fd, int name, int ms)
{
	const struct timeval time = { ms / 1000, ms % 1000 * 1000 };

	succeeds(setsockopt(fd, SOL_SOCKET, name, &time, sizeof(time)));
}

static void closes_soon(int fd)
{
	long began = now_ms();

	succeeds(close(fd));
	require(now_ms() - began < AT_MOST_MS);
}

/* What the killed sender has sent of the page that was there, and the end. */
static void take_rest(struct flow *flow)
{
	ssize_t n;

	while ((n = succeeds(flow_recv(flow, KIB(64), 0))))
		;
	require(flow->taken - flow->sent <= (size_t)sysconf(_SC_PAGESIZE));
}

static void reader_does_not_wait_longer_for_a_sender_whose_page_never_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct pollfd poller = { .fd = to, .events = POLLIN };
	long began;
	pid_t pid;

	flow_put(&flow, 1000);
	flow_take(&flow, 300);
	pid = stuck_sender(&flow);
	flow_take(&flow, 700);
	while (flow_recv(&flow, 100, MSG_DONTWAIT) > 0)
		; /* the page that is there may have come */
	require(errno == EAGAIN);
	set_timeout(to, SO_RCVTIMEO, TIMEOUT_MS);
	began = now_ms();
	fails(EAGAIN, recv(to, &began, 1, 0));
	returns(0, poll(&poller, 1, TIMEOUT_MS));
	require(now_ms() - began < 2 * TIMEOUT_MS + AT_MOST_MS);
	process_kill(pid);
	set_timeout(to, SO_RCVTIMEO, 0);
	succeeds(shutdown(from, SHUT_WR));
	take_rest(&flow);
}

static void reader_closes_while_a_sender_waits_for_a_page(int from, int to)
{
	struct flow flow = flow_between(from, to);
	pid_t pid;

	flow_put(&flow, 1000);
	flow_take(&flow, 1000);
	pid = stuck_sender(&flow);
	closes_soon(to);
	process_kill(pid);
	/* Its end, or a reset for the page that was there. */
	await(has_events(from, POLLIN | POLLRDHUP));
}

static void sender_that_waits_for_a_page_can_be_killed(int from, int to)
{
	struct flow flow = flow_between(from, to);
	pid_t pid;

	flow_put(&flow, 1000);
	flow_take(&flow, 1000);
	pid = stuck_sender(&flow);
	succeeds(close(from));
	process_kill(pid);
	take_rest(&flow);
	flow_end(&flow);
}

static void sender_does_not_wait_longer_for_a_reader_whose_page_never_comes(int from, int to)
{
	struct flow flow = flow_between(from, to);
	long began;
	pid_t pid;

	pid = stuck_reader(&flow);
	send_byte(&flow);
	/* What is in flight stays so: the stuck reader holds TCP's lock. */
	await(flow_fill(&flow, TOO_MUCH) == 0);
	require(flow.sent < TOO_MUCH);
	set_timeout(from, SO_SNDTIMEO, TIMEOUT_MS);
	began = now_ms();
	fails(EAGAIN, flow_send(&flow, 1, 0));
	require(!events_of(from, POLLOUT));
	require(now_ms() - began < TIMEOUT_MS + AT_MOST_MS);
	process_kill(pid);
	flow_drain(&flow);
}

static void sender_closes_while_a_reader_waits_for_a_page(int from, int to)
{
	struct flow flow = flow_between(from, to);
	pid_t pid;

	pid = stuck_reader(&flow);
	send_byte(&flow);
	closes_soon(from);
	process_kill(pid);
	flow_drain(&flow);
	flow_end(&flow);
}

static void reader_that_waits_for_a_page_can_be_killed(int from, int to)
{
	struct flow flow = flow_between(from, to);
	pid_t pid;

	pid = stuck_reader(&flow);
	succeeds(close(to));
	process_kill(pid);
	/* Bytes were unread: a reset. */
	await(has_events(from, POLLERR | POLLHUP));
}

const struct test fault_tests[] = {
	TEST_WAYS(message_whose_pages_come_late_arrives_right),
	TEST_WAYS(buffer_whose_pages_come_late_is_filled_right),
	TEST_WAYS(disconnect_in_the_middle_of_a_copy),
	TEST_WAYS(reader_does_not_wait_longer_for_a_sender_whose_page_never_comes),
	TEST_WAYS(reader_closes_while_a_sender_waits_for_a_page),
	TEST_WAYS(sender_that_waits_for_a_page_can_be_killed),
	TEST_WAYS(sender_does_not_wait_longer_for_a_reader_whose_page_never_comes),
	TEST_WAYS(sender_closes_while_a_reader_waits_for_a_page),
	TEST_WAYS(reader_that_waits_for_a_page_can_be_killed),
	{ 0 },
};
