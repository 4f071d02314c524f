/* SPDX-License-Identifier: GPL-2.0-only */
/* Standard output that may be closed, full, or a pipe without a reader. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

bool pd_output__is_broken_pipe(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

static void check_at_exit(void)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout))
		failed = true;
	if (!failed || errno == EPIPE || pd_output__is_broken_pipe())
		return;
	pd_json = false; /* stdout is what cannot be written to */
	p_err("can't write to standard output: %s",
	      errno ? strerror(errno) : "an earlier write failed");
	_exit(PD_EXIT_FAILED);
}

void pd_output__open(void)
{
	/* A closed one of the three would be the next map's descriptor. Opened
	 * the wrong way round, writing to it still fails and is reported.
	 */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			_exit(PD_EXIT_FAILED);
	}
	/* Dying in the middle of up or down would leave their work half done. */
	signal(SIGPIPE, SIG_IGN);
	atexit(check_at_exit);
}
