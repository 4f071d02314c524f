/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/rbt.c in user space: a producer and a consumer that are threads, over one buffer and
 * one pool, which a third one trims and shrinks meanwhile. Every byte is looked at.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/work.h"
#include "rbt_case.h"

#define MESSAGES 100000
/* What a busy host does not reach in this time it leaves out. */
#define MAX_MS 700
/* Longer than anything that is right: a wake-up was lost. */
#define MAX_WAIT_SECONDS 10
#define ROUNDS 200

/* Who waits sleeps until it is rung, as at a socket's wait queue. */
struct bell {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool rung;
};

struct reader_window {
	struct pd_window window;
	u8 bytes[8000];
};

static struct bell reader = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
static struct bell writer = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
static bool with_window, writer_is_done, is_over;
static u64 by_window; /* bytes */
static int messages;

static void ring(struct bell *bell)
{
	pthread_mutex_lock(&bell->mutex);
	bell->rung = true;
	pthread_cond_signal(&bell->cond);
	pthread_mutex_unlock(&bell->mutex);
}

static void wait_for(struct bell *bell)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += MAX_WAIT_SECONDS;
	pthread_mutex_lock(&bell->mutex);
	while (!bell->rung)
		if (pthread_cond_timedwait(&bell->cond, &bell->mutex, &until))
			kernel_die("nobody rings");
	bell->rung = false;
	pthread_mutex_unlock(&bell->mutex);
}

static u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the producer ------------------------------------------------------------ */

/* Returns what went straight to the reader. */
static u32 send_by_window(u32 bytes)
{
	struct pd_window *window = pd_rbt_claim_window(&rbt);
	u32 room;

	if (!window)
		return 0;
	room = window->size - window->filled;
	bytes = bytes < room ? bytes : room;
	write_bytes(container_of(window, struct reader_window, window)->bytes + window->filled,
		    sent, bytes);
	sent += bytes;
	by_window += bytes;
	pd_rbt_put_window(&rbt, window, bytes);
	return bytes;
}

static void wait_for_room(void)
{
	pd_rbt_wants_room(&rbt);
	if (!pd_rbt_has_room(&rbt) && !READ_ONCE(rbt.closed))
		wait_for(&writer);
}

/* False: the buffer is closed. */
static bool send_message(u32 seq, u32 left, unsigned int *seed)
{
	struct pd_frame *frame;
	u32 room, n;

	while (left) {
		n = send_by_window(left);
		if (!n) {
			frame = reserve(seq, left, &room);
			if (PTR_ERR(frame) == -EPIPE)
				return false;
			if (PTR_ERR(frame) == -EAGAIN) {
				wait_for_room();
				continue;
			}
			if (IS_ERR(frame))
				kernel_die("no memory");
			/* Now and then a copy comes to a page that is not there. */
			n = rand_r(seed) % 8 ? room : rand_r(seed) % (room + 1);
			if (publish(frame, room, n))
				return false;
		}
		left -= n;
		ring(&reader);
	}
	return true;
}

static void *produce(void *unused)
{
	u64 until = now_ms() + MAX_MS;
	unsigned int seed = 1;
	u32 seq = 0;

	for (messages = 0; messages < MESSAGES && now_ms() < until; messages++) {
		if (rand_r(&seed) % 4 == 0)
			seq++;
		if (!send_message(seq, 1 + rand_r(&seed) % (messages % 64 ? 1000 : 20000), &seed))
			break;
	}
	__atomic_store_n(&writer_is_done, true, __ATOMIC_SEQ_CST);
	ring(&reader);
	return NULL;
}

/* ---- the consumer ------------------------------------------------------------ */

static u32 read_some(void)
{
	u32 seq, ready = 0, taken;
	struct pd_frame *frame = pd_rbt_begin(&rbt, &seq, &ready), *next;

	if (ready && right_bytes(frame->data + frame->taken, received, ready) != ready)
		kernel_die("wrong bytes at %llu", (unsigned long long)received);
	taken = received % 16 ? ready : (ready + 1) / 2;
	/* A look ahead, as of one that peeks. */
	if (ready) {
		u32 more = ready;

		next = pd_rbt_next(&rbt, frame, &seq, &more);
		if (next && right_bytes(next->data, received + ready, more) != more)
			kernel_die("wrong bytes after %llu", (unsigned long long)received);
	}
	received += taken;
	pd_rbt_end(&rbt, frame, taken);
	if (taken && pd_rbt_take_wish(&rbt))
		ring(&writer);
	return taken;
}

/* A signal ends the wait, if it can be while the producer is in the window. */
static void wait_for_signal(const struct reader_window *window)
{
	int i;

	for (i = 0; i < 10000 && !READ_ONCE(window->window.busy); i++)
		;
}

/* The window is on the heap, and goes at once when it is closed. */
static void wait_for_bytes(u32 changes)
{
	struct reader_window *window = NULL;
	u32 filled;

	if (with_window) {
		window = malloc(sizeof(*window));
		window->window = (struct pd_window){ .size = 1 + received % sizeof(window->bytes) };
		pd_rbt_open_window(&rbt, &window->window);
	}
	if (window && received % 4 == 0)
		wait_for_signal(window);
	else if (READ_ONCE(rbt.changes) == changes && !READ_ONCE(rbt.closed))
		wait_for(&reader);
	if (!window)
		return;
	filled = pd_rbt_close_window(&rbt, &window->window);
	if (right_bytes(window->bytes, received, filled) != filled)
		kernel_die("wrong bytes in the window at %llu", (unsigned long long)received);
	received += filled;
	free(window);
}

static void *consume(void *unused)
{
	bool was_done;
	u32 changes;

	while (!READ_ONCE(rbt.closed)) {
		was_done = __atomic_load_n(&writer_is_done, __ATOMIC_SEQ_CST);
		changes = READ_ONCE(rbt.changes);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (read_some())
			continue;
		if (was_done)
			break;
		wait_for_bytes(changes);
	}
	__atomic_store_n(&is_over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* ---- both --------------------------------------------------------------------- */

static void start(pthread_t threads[2])
{
	writer_is_done = false;
	is_over = false;
	by_window = 0;
	reader.rung = false;
	writer.rung = false;
	assert_int_equal(pthread_create(&threads[0], NULL, produce, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, consume, NULL), 0);
}

static void join(pthread_t threads[2])
{
	assert_int_equal(pthread_join(threads[0], NULL), 0);
	assert_int_equal(pthread_join(threads[1], NULL), 0);
}

static void run(void)
{
	pthread_t threads[2];

	rbt.limit = 100000;
	start(threads);
	while (!__atomic_load_n(&is_over, __ATOMIC_SEQ_CST)) {
		kernel_run_work();
		kernel_shrink(100);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	join(threads);
	print_message("# %d messages of %llu bytes, %llu of them by a window\n", messages,
		      (unsigned long long)sent, (unsigned long long)by_window);
	assert_int_equal(received, sent);
	assert_int_equal(rbt.unread, 0);
	kernel_shrink(1000);
	kernel_run_work();
	assert_none_left();
}

static void two_threads_move_a_stream_by_frames(void **state)
{
	with_window = false;
	run();
	assert_int_equal(by_window, 0);
}

static void two_threads_move_a_stream_by_frames_and_windows(void **state)
{
	with_window = true;
	run();
	assert_true(by_window);
}

static void a_buffer_that_two_threads_use_is_closed_at_any_time(void **state)
{
	pthread_t threads[2];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		with_window = i % 2;
		rbt.limit = 20000;
		start(threads);
		nanosleep(&(struct timespec){ .tv_nsec = rand() % 500000 }, NULL);
		pd_rbt_close(&rbt);
		kernel_shrink(1000);
		ring(&reader);
		ring(&writer);
		join(threads);
		assert_none_left();
		pd_rbt_init(memset(&rbt, 0, sizeof(rbt)));
		sent = 0;
		received = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RBT_CASE(two_threads_move_a_stream_by_frames),
		RBT_CASE(two_threads_move_a_stream_by_frames_and_windows),
		RBT_CASE(a_buffer_that_two_threads_use_is_closed_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
