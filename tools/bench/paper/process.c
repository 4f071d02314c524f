// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "insn.h"
#include "paper.h"

void fail(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void enter_netns(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("can't enter %s: %s", path, strerror(errno));
	close(fd);
}

void allow_files(unsigned int nr)
{
	struct rlimit limit = { nr, nr };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("%u open files: %s", nr, strerror(errno));
}

uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void tell(int fd, uint64_t value)
{
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		fail("the other process is gone");
}

uint64_t await(int fd)
{
	uint64_t value;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		fail("the other process is gone");
	return value;
}

void reap(unsigned int children)
{
	int status;

	while (children--)
		if (wait(&status) < 0 || status)
			fail("another process has failed");
}
