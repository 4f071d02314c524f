// SPDX-License-Identifier: GPL-2.0-only
/* One case in a process of its own, so that what hangs or crashes is a failure of
 * that case and of no other.
 */
#include "run.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Why it was skipped, by the process of the case. */
static char *skipped;

__attribute__((noreturn)) static void be_the_case(const struct test *test, int output)
{
	int status;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	status = run_here(test, skipped);
	fflush(NULL);
	_exit(status ? 1 : 0);
}

__attribute__((format(printf, 2, 3))) static void add(struct outcome *outcome, const char *fmt, ...)
{
	size_t used = strlen(outcome->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(outcome->text + used, sizeof(outcome->text) - used, fmt, ap);
	va_end(ap);
}

static void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, size - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Where each thread of @pid waits in the kernel. */
static void add_sleepers(struct outcome *outcome, pid_t pid)
{
	char path[300], where[128], call[128];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/wchan", pid, entry->d_name);
		read_line(path, where, sizeof(where));
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/syscall", pid, entry->d_name);
		read_line(path, call, sizeof(call));
		call[strcspn(call, " ")] = '\0';
		add(outcome, "thread %.20s is in system call %s, %s\n", entry->d_name, call, where);
	}
	if (dir)
		closedir(dir);
}

/* Its output without cmocka's own lines. */
static void read_output(int fd, struct outcome *outcome)
{
	char buf[sizeof(outcome->text)], *rest = buf, *line;
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(buf) - 1 && (n = read(fd, buf + used, sizeof(buf) - 1 - used)) > 0)
		used += n;
	buf[used] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (!strncmp(line, "1..", 3) || !strncmp(line, "ok ", 3) ||
		    !strncmp(line, "not ok ", 7) || !*line)
			continue;
		add(outcome, "%s\n", line + (strncmp(line, "# ", 2) ? 0 : 2));
	}
}

/* The process of the case has ended; false if it has not within @limit_ms. */
static bool ended(int pidfd, unsigned int limit_ms)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };

	return poll(&poller, 1, limit_ms) == 1;
}

void run_case(const struct test *test, unsigned int limit_ms, struct outcome *outcome)
{
	int output[2], pidfd, status = 0;
	bool in_time;
	pid_t pid;

	memset(outcome, 0, sizeof(*outcome));
	if (!skipped)
		skipped = mmap(NULL, WHY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	*skipped = '\0';
	fflush(NULL);
	if (pipe2(output, O_CLOEXEC | O_NONBLOCK) || (pid = fork()) < 0) {
		outcome->verdict = FAILED;
		add(outcome, "pipe or fork: %s\n", strerror(errno));
		return;
	}
	if (!pid)
		be_the_case(test, output[1]);
	setpgid(pid, pid);
	close(output[1]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	in_time = ended(pidfd, limit_ms);
	if (!in_time) {
		add(outcome, "not done within %u ms\n", limit_ms);
		add_sleepers(outcome, pid);
	}
	/* All that it started is in its group, and becomes a child of this. */
	kill(-pid, SIGKILL);
	waitpid(pid, &status, 0);
	while (waitpid(-pid, NULL, 0) > 0)
		;
	read_output(output[0], outcome);
	close(output[0]);
	close(pidfd);
	if (in_time && WIFSIGNALED(status))
		add(outcome, "killed by SIG%s\n", sigabbrev_np(WTERMSIG(status)));
	if (in_time && WIFEXITED(status) && !WEXITSTATUS(status))
		outcome->verdict = PASSED;
	else
		outcome->verdict = FAILED;
	if (outcome->verdict == PASSED && *skipped) {
		outcome->verdict = SKIPPED;
		snprintf(outcome->text, sizeof(outcome->text), "%s", skipped);
	}
}
