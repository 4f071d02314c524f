/* SPDX-License-Identifier: GPL-2.0-only */
/* One experiment on a scratch pair, in a child process with a time limit. */
#include "trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A killed child leaves the kernel at once, unless the kernel itself is stuck. */
#define REAP_MS 2000

void pd_trial__as_tcp(struct pd_trial *trial)
{
	trial->outcome = PD_OUTCOME_TCP;
	trial->detail[0] = '\0';
}

static void say(struct pd_trial *trial, enum pd_outcome outcome, const char *fmt, va_list args)
{
	trial->outcome = outcome;
	vsnprintf(trial->detail, sizeof(trial->detail), fmt, args);
}

void pd_trial__defect(struct pd_trial *trial, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(trial, PD_OUTCOME_DEFECT, fmt, args);
	va_end(args);
}

void pd_trial__untested(struct pd_trial *trial, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(trial, PD_OUTCOME_UNTESTED, fmt, args);
	va_end(args);
}

static void try_it(struct pd_trial *trial, pd_trial_fn fn, bool late)
{
	int err = pd_scratch__open(&trial->pair, trial->enrolled && !late);

	if (err == -EBUSY)
		pd_trial__untested(trial, "another agent's sockmap owns the sockets");
	else if (err)
		pd_trial__untested(trial, "can't make %s pair of sockets: %s",
				   trial->enrolled && !late ? "an enrolled" : "a", strerror(-err));
	else
		fn(trial);
}

/* The child never returns: exit handlers and stdio buffers are the parent's. */
static void __attribute__((noreturn))
child(struct pd_trial *trial, pd_trial_fn fn, bool late, pid_t parent, int report)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	try_it(trial, fn, late);
	_exit(write(report, trial, sizeof(*trial)) != sizeof(*trial));
}

static void reap(pid_t pid)
{
	struct pollfd gone = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

	kill(pid, SIGKILL);
	if (gone.fd < 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	while (poll(&gone, 1, REAP_MS) < 0 && errno == EINTR)
		;
	close(gone.fd);
	waitpid(pid, NULL, WNOHANG);
}

void pd_trial__run(struct pd_trial *trial, pd_trial_fn fn, bool enrolled, bool late, int limit_ms)
{
	struct pollfd report = { .events = POLLIN };
	pid_t parent = getpid();
	int fds[2], ready;
	pid_t pid;

	*trial = (struct pd_trial){ .pair = { .client = -1, .server = -1 }, .enrolled = enrolled };
	if (pipe(fds)) {
		pd_trial__untested(trial, "can't make a pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(trial, fn, late, parent, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		pd_trial__untested(trial, "can't start a process: %s", strerror(errno));
		close(fds[0]);
		return;
	}

	report.fd = fds[0];
	do {
		ready = poll(&report, 1, limit_ms);
	} while (ready < 0 && errno == EINTR);
	/* The report is smaller than PIPE_BUF: it comes whole or not at all. */
	if (ready == 0) {
		trial->outcome = PD_OUTCOME_HUNG;
		snprintf(trial->detail, sizeof(trial->detail), "no end within %d ms", limit_ms);
	} else if (read(fds[0], trial, sizeof(*trial)) != sizeof(*trial)) {
		pd_trial__untested(trial, "the test process ended without a result");
	}
	close(fds[0]);
	reap(pid);
}
