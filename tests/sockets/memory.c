// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of the memory that is sent from or received into, while the kernel copies: the program
 * unmaps, moves, truncates, forks, is paged out, is killed. tests/vm/dma_memory.sh runs these
 * with copies by DMA that take long.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "sockets.h"

#define HALF (LARGE / 2)

/* ---- what happens ---------------------------------------------------------------- */

struct buffer {
	char *map;
	int fd; /* of the file that is mapped */
};

static void unmap(struct buffer *buffer)
{
	succeeds(munmap(buffer->map + HALF, HALF));
}

static void move(struct buffer *buffer)
{
	char *to = large_buffer(-1);

	require(mremap(buffer->map, LARGE, LARGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	buffer->map = to;
}

static void truncate_file(struct buffer *buffer)
{
	succeeds(ftruncate(buffer->fd, HALF));
}

static void page_out(struct buffer *buffer)
{
	succeeds(madvise(buffer->map, LARGE, MADV_PAGEOUT));
}

static void be_a_child(void *arg)
{
	memset(arg, 0xee, LARGE);
}

/* The child writes to its own copy, and the parent to its own. */
static void let_fork(struct buffer *buffer)
{
	pid_t pid = process_start(be_a_child, buffer->map);

	buffer->map[LARGE - 1] = 1;
	process_join(pid);
	buffer->map[LARGE - 1] = 2;
}

/* ---- sending ----------------------------------------------------------------------- */

/* What the call says that it has sent arrives, and no byte more. */
static void take_what_was_sent(struct flow *flow, struct call *call, ssize_t least)
{
	while (!call->task.done || has_bytes(flow->to, 1)) {
		if (has_bytes(flow->to, 1))
			succeeds(flow_recv(flow, KIB(64), 0));
		else
			nap();
	}
	call_join(call);
	if (call->returned < least)
		give_up(__FILE__, __LINE__, "send() returned %zd, %s", call->returned,
			strerror(call->error));
	succeeds(shutdown(flow->from, SHUT_WR));
	while (succeeds(flow_recv(flow, KIB(64), 0)))
		;
	returns(call->returned, (long)flow->taken);
}

/* @happen comes in the middle of a send() of @len bytes, of which at least @least are sent. */
static void send_and(int from, int to, int fd, void (*happen)(struct buffer *buffer), size_t len,
		     ssize_t least)
{
	struct buffer buffer = { .map = large_buffer(fd), .fd = fd };
	struct flow flow = flow_between(from, to), sent;
	struct call call = { .fd = from, .buf = buffer.map, .len = len };

	warm_up(from, to);
	sent = flow;
	fill(buffer.map, len, sent.stream, 0);
	send_late(&call);
	flow_take(&flow, 1);
	happen(&buffer);
	take_what_was_sent(&flow, &call, least);
	require_unpinned();
}

static void memory_may_be_unmapped_while_it_is_sent(int from, int to)
{
	send_and(from, to, -1, unmap, LARGE, 1);
}

static void memory_may_be_moved_while_it_is_sent(int from, int to)
{
	send_and(from, to, -1, move, LARGE, 1);
}

static void file_may_be_truncated_while_it_is_sent(int from, int to)
{
	int fd = buffer_file();

	send_and(from, to, fd, truncate_file, LARGE, 1);
	close(fd);
}

static void memory_may_be_paged_out_while_it_is_sent(int from, int to)
{
	send_and(from, to, -1, page_out, LARGE, LARGE);
}

static void process_may_fork_while_it_sends(int from, int to)
{
	send_and(from, to, -1, let_fork, LARGE - 1, LARGE - 1);
}

/* ---- receiving --------------------------------------------------------------------- */

/* recv() again and again, into what follows, until all has come or a call fails. */
struct filling {
	struct task task;
	int fd;
	char *map;
	size_t len, filled;
};

static void run_filling(void *arg)
{
	struct filling *filling = arg;
	ssize_t n;

	while (filling->filled < filling->len) {
		n = recv(filling->fd, filling->map + filling->filled,
			 filling->len - filling->filled, 0);
		if (n <= 0)
			break;
		filling->filled += n;
	}
}

/* @happen comes while @len bytes are received. Those of them up to @kept are there after it, and
 * the next recv() goes on where the last one ended.
 */
static void receive_and(int from, int to, int fd, void (*happen)(struct buffer *buffer), size_t len,
			size_t kept)
{
	struct buffer buffer = { .map = large_buffer(fd), .fd = fd };
	struct flow flow = flow_between(from, to);
	struct filling filling = { .fd = to, .map = buffer.map, .len = len };
	struct pump pump;

	warm_up(from, to);
	/* It has read much at once: so it offers its memory when it waits. */
	flow_put(&flow, KIB(64));
	task_start(&filling.task, run_filling, &filling);
	await(!has_bytes(to, 1) && sleeps_in(filling.task.tid, SYS_recvfrom));
	pump_in(&pump, &flow, len - KIB(64), KIB(64));
	await(filling.task.done || flow.sent > KIB(64));
	happen(&buffer);
	task_join(&filling.task);
	flow_check(&flow, buffer.map, filling.filled < kept ? filling.filled : kept);
	flow.taken = filling.filled;
	flow_take(&flow, len - filling.filled);
	pump_join(&pump);
	require_unpinned();
}

static void memory_may_be_unmapped_while_it_is_filled(int from, int to)
{
	receive_and(from, to, -1, unmap, LARGE, HALF);
}

static void memory_may_be_moved_while_it_is_filled(int from, int to)
{
	receive_and(from, to, -1, move, LARGE, LARGE);
}

static void file_may_be_truncated_while_it_is_filled(int from, int to)
{
	int fd = buffer_file();

	receive_and(from, to, fd, truncate_file, LARGE, HALF);
	close(fd);
}

static void memory_may_be_paged_out_while_it_is_filled(int from, int to)
{
	receive_and(from, to, -1, page_out, LARGE, LARGE);
}

static void process_may_fork_while_it_receives(int from, int to)
{
	receive_and(from, to, -1, let_fork, LARGE - 1, LARGE - 1);
}

/* ---- afterwards -------------------------------------------------------------------- */

#define MESSAGES 24
#define MESSAGE KIB(128)

/* What was sent is what it was when send() was called. */
static void memory_is_the_senders_again_after_send(int from, int to)
{
	struct flow flow = flow_between(from, to);
	char *map = large_buffer(-1);
	struct pump pump;

	warm_up(from, to);
	pump_out(&pump, &flow, MESSAGES * MESSAGE, KIB(64));
	for (int i = 0; i < MESSAGES; i++) {
		fill(map, MESSAGE, flow.stream, i * MESSAGE);
		for (size_t sent = 0; sent < MESSAGE;)
			sent += succeeds(send(from, map + sent, MESSAGE - sent, MSG_NOSIGNAL));
		memset(map, 0xee, MESSAGE);
	}
	pump_join(&pump);
	require_unpinned();
}

/* Nothing comes into it after recv(). */
static void memory_is_the_readers_again_after_recv(int from, int to)
{
	struct flow flow = flow_between(from, to);
	static char *maps[MESSAGES];
	struct pump pump;

	warm_up(from, to);
	for (int i = 0; i < MESSAGES; i++)
		maps[i] = large_buffer(-1);
	pump_in(&pump, &flow, MESSAGES * MESSAGE, KIB(64));
	for (int i = 0; i < MESSAGES; i++) {
		for (size_t taken = 0; taken < MESSAGE;)
			taken += succeeds(recv(to, maps[i] + taken, MESSAGE - taken, 0));
		flow_check(&flow, maps[i], MESSAGE);
		memset(maps[i], 0x77, MESSAGE);
	}
	pump_join(&pump);
	for (int i = 0; i < MESSAGES; i++)
		for (size_t at = 0; at < MESSAGE; at++)
			returns(0x77, maps[i][at]);
	require_unpinned();
}

/* ---- one memory on either end --------------------------------------------------------- */

/* What is at @from_there is sent while another thread waits for it to come @to_there: the same bytes. */
static void send_onto(int from, int to, char *from_there, char *to_there, size_t len)
{
	struct flow flow = flow_between(from, to);
	struct filling filling = { .fd = to, .map = to_there, .len = len };

	warm_up(from, to);
	for (int i = 0; i < 4; i++) {
		fill(from_there, len, flow.stream, flow.sent);
		filling.filled = 0;
		task_start(&filling.task, run_filling, &filling);
		await(sleeps_in(filling.task.tid, SYS_recvfrom));
		for (size_t sent = 0; sent < len;)
			sent += succeeds(send(from, from_there + sent, len - sent, MSG_NOSIGNAL));
		flow.sent += len;
		task_join(&filling.task);
		flow_check(&flow, to_there, filling.filled);
	}
	require_unpinned();
}

static void message_is_sent_from_where_it_is_received(int from, int to)
{
	char *map = large_buffer(-1);

	send_onto(from, to, map, map, MESSAGE);
}

static void message_is_sent_from_a_file_that_it_is_received_into(int from, int to)
{
	int fd = buffer_file();

	send_onto(from, to, large_buffer(fd), large_buffer(fd), MESSAGE);
	close(fd);
}

#define PAGE KIB(4)

/* What is read is what was there when it was sent. */
static void message_is_sent_from_a_file_that_it_is_received_into_elsewhere(int from, int to)
{
	int fd = buffer_file();

	send_onto(from, to, large_buffer(fd), large_buffer(fd) + PAGE / 2, 2 * PAGE);
	close(fd);
}

#define PAGES ((int)(LARGE / PAGE)) /* of either kind that are looked at in one go */
#define FRAME ((1ULL << 55) - 1)

static unsigned long frame_of(int pagemap, const char *at)
{
	uint64_t entry;

	returns(sizeof(entry), pread(pagemap, &entry, sizeof(entry), (unsigned long)at / PAGE * 8));
	/* Present, and told to root alone. */
	require(entry >> 63 && (entry & FRAME));
	return entry & FRAME;
}

/* Whether one of the pages at @shared is behind one of those at @alone in the machine's memory; if
 * so, their numbers. A machine that has been up for long has few neighbours left, so any two will do.
 */
static bool are_neighbours(const char *alone, const char *shared, int *front, int *behind)
{
	int pagemap = succeeds(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	unsigned long frames[PAGES];

	for (int i = 0; i < PAGES; i++)
		frames[i] = frame_of(pagemap, shared + i * PAGE);
	for (*front = 0; *front < PAGES; ++*front) {
		unsigned long frame = frame_of(pagemap, alone + *front * PAGE);

		for (*behind = 0; *behind < PAGES; ++*behind) {
			if (frame + 1 != frames[*behind])
				continue;
			close(pagemap);
			return true;
		}
	}
	close(pagemap);
	return false;
}

/* A page of nobody else's, and after it that of @fd at *@at, which is the next one in the machine's
 * memory, too.
 */
static char *private_page_and_file(int fd, off_t *at)
{
	int front, behind;

	for (int tries = 0; tries < 64; tries++) {
		char *alone = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
		char *shared = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		char *map = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		require(alone != MAP_FAILED && shared != MAP_FAILED && map != MAP_FAILED);
		succeeds(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LARGE));
		for (int i = 0; i < PAGES; i++) {
			alone[i * PAGE] = 1;
			shared[i * PAGE] = 1;
		}
		if (!are_neighbours(alone, shared, &front, &behind))
			continue;
		*at = behind * PAGE;
		require(mremap(alone + front * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       map) == map);
		require(mmap(map + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			     *at) == map + PAGE);
		return map;
	}
	give_up(__FILE__, __LINE__, "no page of a file follows one of ours");
	return NULL;
}

static void message_is_sent_from_a_file_that_it_is_received_into_behind_other_memory(int from,
										     int to)
{
	int fd = buffer_file();
	off_t at;
	char *to_there = private_page_and_file(fd, &at);
	char *from_there = large_buffer(-1);

	require(mmap(from_there + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		     at) == from_there + PAGE);
	send_onto(from, to, from_there, to_there, 2 * PAGE);
	close(fd);
}

/* ---- where it is kept in between ------------------------------------------------------ */

/* A frame of the reader's buffer has 64 KiB: here each segment of a copy by DMA would end a few bytes
 * into one, and the next begin in the same line of the cache, which a kernel with DMA_API_DEBUG
 * complains of if both are mapped.
 */
static void large_message_follows_one_of_a_little_over_64_kib(int from, int to)
{
	struct flow flow = flow_between(from, to);

	warm_up(from, to);
	for (int i = 0; i < 4; i++) {
		flow_put(&flow, KIB(64) + 20);
		flow_sent(&flow,
			  succeeds(send(from, flow_next(&flow, LARGE), LARGE, MSG_DONTWAIT)));
		flow_drain(&flow);
	}
	require_unpinned();
}

/* ---- limits -------------------------------------------------------------------------- */

struct limited {
	int fd;
	struct flow *flow;
};

/* Not root any more, and no page may be locked. */
static void send_without_locking(void *arg)
{
	const struct rlimit none = { 0, 0 };
	struct limited *limited = arg;
	char *map = large_buffer(-1);

	succeeds(setrlimit(RLIMIT_MEMLOCK, &none));
	succeeds(setresuid(65534, 65534, 65534));
	fill(map, LARGE, limited->flow->stream, 0);
	for (size_t sent = 0; sent < LARGE;)
		sent += succeeds(send(limited->fd, map + sent, LARGE - sent, MSG_NOSIGNAL));
}

static void memory_that_may_not_be_locked_is_sent(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct limited limited = { .fd = from, .flow = &flow };
	pid_t pid;

	warm_up(from, to);
	pid = process_start(send_without_locking, &limited);
	flow_take(&flow, LARGE);
	process_join(pid);
}

static void receive_without_locking(void *arg)
{
	const struct rlimit none = { 0, 0 };
	struct limited *limited = arg;
	char *map = large_buffer(-1);

	succeeds(setrlimit(RLIMIT_MEMLOCK, &none));
	succeeds(setresuid(65534, 65534, 65534));
	while (limited->flow->taken < 2 * LARGE)
		flow_check(limited->flow, map, succeeds(recv(limited->fd, map, LARGE, 0)));
}

static void memory_that_may_not_be_locked_is_filled(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct limited limited = { .fd = to, .flow = &flow };
	pid_t pid;

	warm_up(from, to);
	pid = process_start(receive_without_locking, &limited);
	flow_put(&flow, 2 * LARGE);
	process_join(pid);
}

const struct test memory_tests[] = {
	TEST_WAYS(memory_may_be_unmapped_while_it_is_sent),
	TEST_WAYS(memory_may_be_moved_while_it_is_sent),
	TEST_WAYS(file_may_be_truncated_while_it_is_sent),
	TEST_WAYS(memory_may_be_paged_out_while_it_is_sent),
	TEST_WAYS(process_may_fork_while_it_sends),
	TEST_WAYS(memory_may_be_unmapped_while_it_is_filled),
	TEST_WAYS(memory_may_be_moved_while_it_is_filled),
	TEST_WAYS(file_may_be_truncated_while_it_is_filled),
	TEST_WAYS(memory_may_be_paged_out_while_it_is_filled),
	TEST_WAYS(process_may_fork_while_it_receives),
	TEST_WAYS(memory_is_the_senders_again_after_send),
	TEST_WAYS(memory_is_the_readers_again_after_recv),
	TEST_WAYS(message_is_sent_from_where_it_is_received),
	TEST_WAYS(message_is_sent_from_a_file_that_it_is_received_into),
	TEST_WAYS(message_is_sent_from_a_file_that_it_is_received_into_elsewhere),
	TEST_WAYS(message_is_sent_from_a_file_that_it_is_received_into_behind_other_memory),
	TEST_WAYS(large_message_follows_one_of_a_little_over_64_kib),
	TEST_WAYS(memory_that_may_not_be_locked_is_sent),
	TEST_WAYS(memory_that_may_not_be_locked_is_filled),
	{ 0 },
};
