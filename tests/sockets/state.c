// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of a socket, a thread or a process. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "sockets.h"

/* By MSG_PEEK, which every engine has to carry, not by FIONREAD. */
bool has_bytes(int fd, size_t len)
{
	void *buf = malloc(len);
	ssize_t n;

	require(buf);
	n = recv(fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
	free(buf);
	return n == (ssize_t)len;
}

short events_of(int fd, short events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	succeeds(poll(&poller, 1, 0));
	return poller.revents;
}

bool has_events(int fd, short events)
{
	return (events_of(fd, events) & events) == events;
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	succeeds(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info;
}

int tcp_state(int fd)
{
	return info_of(fd).tcpi_state;
}

unsigned int packets_in_flight(int fd)
{
	return info_of(fd).tcpi_unacked;
}

int unacknowledged(int fd)
{
	int bytes = 0;

	succeeds(ioctl(fd, SIOCOUTQ, &bytes));
	return bytes;
}

static bool read_proc(pid_t tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

bool sleeps_in(pid_t tid, long number)
{
	char text[1024];
	const char *state;

	if (!tid || !read_proc(tid, "stat", text, sizeof(text)))
		return false;
	state = strrchr(text, ')');
	if (!state || strncmp(state, ") S", 3))
		return false;
	/* "running", or the number of the call and its arguments */
	return read_proc(tid, "syscall", text, sizeof(text)) && *text != 'r' &&
	       strtol(text, NULL, 10) == number;
}

unsigned long voluntary_switches(pid_t tid)
{
	static const char label[] = "\nvoluntary_ctxt_switches:";
	char text[4096];
	const char *at;

	if (!read_proc(tid, "status", text, sizeof(text)))
		return 0;
	at = strstr(text, label);
	return at ? strtoul(at + sizeof(label) - 1, NULL, 10) : 0;
}
