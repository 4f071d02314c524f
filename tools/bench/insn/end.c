// SPDX-License-Identifier: GPL-2.0-only
/* One end of the connection: it sends, receives and verifies. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "insn.h"

#define MAX_MESSAGE (1 << 20)

/* A process has one end at a time. */
static char *buf;

/* What stands at @place of a stream: no power of two is a period. */
static char pattern(uint64_t place)
{
	return (char)(((uint32_t)place * 0x9e3779b1U) >> 23);
}

#define HUGE_PAGE (2 << 20)

/* Bytes of huge pages that the process has. */
static size_t huge_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[128];
	size_t kib = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %zu kB", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib << 10;
}

void end_choose_memory(bool huge)
{
	char *map = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (map == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	buf = map + HUGE_PAGE - (uintptr_t)map % HUGE_PAGE;
	/* A child that shared it would have the kernel split it. */
	if (madvise(buf, HUGE_PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) ||
	    madvise(buf, HUGE_PAGE, MADV_DONTFORK))
		fail("madvise: %s", strerror(errno));
	memset(buf, 0, MAX_MESSAGE);
	if (huge != (huge_bytes() >= HUGE_PAGE))
		fail("the kernel %s huge pages",
		     huge ? "gives no" : "does not keep to small pages: it gives");
}

void end_open(struct end *end, int fd, enum reader reader)
{
	struct epoll_event event = { .events = EPOLLIN };
	int one = 1;

	*end = (struct end){ .fd = fd, .epoll = -1 };
	/* Fails on Unix sockets, which do not wait for more either. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (reader == READER_BLOCKING)
		return;
	end->epoll = epoll_create1(0);
	if (end->epoll < 0 || epoll_ctl(end->epoll, EPOLL_CTL_ADD, fd, &event))
		fail("epoll: %s", strerror(errno));
}

void end_close(struct end *end)
{
	close(end->fd);
	if (end->epoll >= 0)
		close(end->epoll);
}

void end_send(struct end *end, size_t size)
{
	size_t done = 0;

	for (size_t i = 0; end->verify && i < size; i++)
		buf[i] = pattern(end->sent + i);
	while (done < size) {
		ssize_t n = send(end->fd, buf + done, size - done, MSG_NOSIGNAL);

		if (n < 0)
			fail("send: %s", strerror(errno));
		done += (size_t)n;
	}
	end->sent += size;
}

/* Returns 0 at the end of the stream. */
static size_t receive_some(struct end *end, size_t limit)
{
	struct epoll_event event;
	ssize_t n;

	do {
		if (end->epoll >= 0 && epoll_wait(end->epoll, &event, 1, -1) != 1)
			fail("epoll_wait: %s", strerror(errno));
		n = recv(end->fd, buf, limit, end->epoll >= 0 ? MSG_DONTWAIT : 0);
	} while (n < 0 && errno == EAGAIN);
	if (n < 0)
		fail("recv: %s", strerror(errno));
	for (ssize_t i = 0; end->verify && i < n; i++) {
		if (buf[i] != pattern(end->received + (uint64_t)i))
			fail("byte %llu of the stream is wrong",
			     (unsigned long long)end->received + (unsigned long long)i);
	}
	end->received += (uint64_t)n;
	return (size_t)n;
}

void end_receive(struct end *end, size_t size, size_t limit)
{
	while (size) {
		size_t n = receive_some(end, size < limit ? size : limit);

		if (!n)
			fail("the other end has closed");
		size -= n;
	}
}

void end_receive_eof(struct end *end)
{
	if (receive_some(end, READ_BYTES))
		fail("there are bytes that nobody sent");
}

uint64_t end_tcp_bytes(const struct end *end)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(end->fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_bytes_received;
}
