// SPDX-License-Identifier: GPL-2.0-only
/* How a case ends. One that does not hold ends its process at once, whichever
 * thread finds it: others may still use what is on this one's stack, so that
 * cmocka's longjmp() out of the case would pull it from under them.
 */
#include <time.h>

#include "sockets.h"

long await_ms = 3000;

static pthread_t case_thread;
static pid_t case_process;
static char *why_skipped; /* shared with the runner */
static const struct test *running;

void give_up(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	flockfile(stderr);
	fprintf(stderr, "%s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	funlockfile(stderr);
	if (getpid() == case_process && pthread_equal(pthread_self(), case_thread))
		_fail(file, line);
	_exit(1);
}

void skip_case(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why_skipped, WHY_SIZE, fmt, ap);
	va_end(ap);
	skip();
}

long check_returned(const char *file, int line, const char *call, long want, long got)
{
	int error = errno;

	if (got == want)
		return got;
	if (got < 0)
		give_up(file, line, "%s: %s, expected %ld", call, strerror(error), want);
	give_up(file, line, "%s returned %ld, expected %ld", call, got, want);
}

void check_failed(const char *file, int line, const char *call, int want, long got)
{
	int error = errno;

	if (got >= 0)
		give_up(file, line, "%s returned %ld, expected %s", call, got,
			strerrorname_np(want));
	if (error != want)
		give_up(file, line, "%s: %s, expected %s", call, strerrorname_np(error),
			strerrorname_np(want));
}

long check_succeeded(const char *file, int line, const char *call, long got)
{
	int error = errno;

	if (got < 0)
		give_up(file, line, "%s: %s", call, strerror(error));
	return got;
}

long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void nap(void)
{
	const struct timespec t = { .tv_nsec = 200000 };

	nanosleep(&t, NULL);
}

static void run_one(void **state)
{
	for (int side = 0; running->run_way && side < 2; side++) {
		struct pair pair = connected();

		running->run_way(pair.end[side], pair.end[!side]);
		close_pair(&pair);
	}
	if (running->run)
		running->run();
}

static void end_here(int signal)
{
	_exit(*why_skipped ? 0 : 1);
}

int run_here(const struct test *test, char *skipped)
{
	const struct CMUnitTest unit = { .name = test->name, .test_func = run_one };

	running = test;
	why_skipped = skipped;
	case_thread = pthread_self();
	case_process = getpid();
	setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 1);
	/* abort() in place of longjmp() */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	signal(SIGABRT, end_here);
	return _cmocka_run_group_tests(test->name, &unit, 1, NULL, NULL);
}
