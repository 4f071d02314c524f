// SPDX-License-Identifier: GPL-2.0-only
/* The instructions of CPU 0, whoever executes them: sender, receiver, interrupts
 * and kernel threads. An idle CPU executes none.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "insn.h"

/* Hints that do nothing, and that no compiler makes. */
#define MARK_BEGIN "hint #126"
#define MARK_END "hint #127"

int counter_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.pinned = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

static uint64_t count(int counter)
{
	uint64_t value;

	if (read(counter, &value, sizeof(value)) != sizeof(value))
		fail("can't read the counter: %s", strerror(errno));
	return value;
}

uint64_t counter_begin(int counter)
{
	uint64_t value = count(counter);

	__asm__ volatile(MARK_BEGIN ::: "memory");
	return value;
}

uint64_t counter_end(int counter)
{
	__asm__ volatile(MARK_END ::: "memory");
	return count(counter);
}
