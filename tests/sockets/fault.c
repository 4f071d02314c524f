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

const struct test fault_tests[] = {
	TEST_WAYS(message_whose_pages_come_late_arrives_right),
	TEST_WAYS(buffer_whose_pages_come_late_is_filled_right),
	TEST_WAYS(disconnect_in_the_middle_of_a_copy),
	{ 0 },
};
