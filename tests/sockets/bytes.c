// SPDX-License-Identifier: GPL-2.0-only
/* Bytes that are known, so that one which is lost, doubled or out of place is
 * found.
 */
#include "sockets.h"

#define PIECE KIB(64)

static struct {
	pthread_mutex_t lock; /* protects the list */
	void *list[4096];
	unsigned int nr;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

void say(int fd, const char *text)
{
	returns((long)strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL));
}

void hear(int fd, const char *text)
{
	size_t len = strlen(text), have = 0;
	char buf[256] = "";

	require(len < sizeof(buf));
	while (have < len) {
		ssize_t n = succeeds(recv(fd, buf + have, len - have, 0));

		if (!n)
			give_up(__FILE__, __LINE__, "end of file after \"%s\" of \"%s\"", buf,
				text);
		have += n;
	}
	if (memcmp(buf, text, len))
		give_up(__FILE__, __LINE__, "received \"%s\", expected \"%s\"", buf, text);
}

void hear_end(int fd)
{
	char byte;

	returns(0, recv(fd, &byte, 1, 0));
}

struct flow flow_between(int from, int to)
{
	static _Atomic uint32_t streams;

	return (struct flow){ .from = from, .to = to, .stream = streams++ };
}

struct flow flow_of(const struct pair *pair, int side)
{
	return flow_between(pair->end[side], pair->end[!side]);
}

void fill(void *buf, size_t len, uint32_t stream, uint64_t offset)
{
	unsigned char *bytes = buf;
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++, offset++) {
		if (!i || !(offset & 7)) {
			word = ((stream + 1) * 0xd1342543de82ef95ULL ^ offset >> 3) *
			       0x9e3779b97f4a7c15ULL;
			word ^= word >> 32;
		}
		bytes[i] = word >> 8 * (offset & 7);
	}
}

void *flow_next(const struct flow *flow, size_t len)
{
	void *buf = malloc(len + 1);

	require(buf);
	fill(buf, len, flow->stream, flow->sent);
	pthread_mutex_lock(&kept.lock);
	require(kept.nr < ARRAY_SIZE(kept.list));
	kept.list[kept.nr++] = buf;
	pthread_mutex_unlock(&kept.lock);
	return buf;
}

void flow_sent(struct flow *flow, size_t len)
{
	flow->sent += len;
}

void flow_check(struct flow *flow, const void *buf, size_t len)
{
	const unsigned char *bytes = buf;
	unsigned char right[4096];

	for (size_t done = 0; done < len;) {
		size_t n = len - done < sizeof(right) ? len - done : sizeof(right);

		fill(right, n, flow->stream, flow->taken);
		for (size_t i = 0; i < n; i++) {
			if (bytes[done + i] != right[i])
				give_up(__FILE__, __LINE__,
					"stream %u: wrong byte at offset %lu, the %zuth of a read of %zu",
					flow->stream, (unsigned long)flow->taken + i, done + i,
					len);
		}
		flow->taken += n;
		done += n;
	}
}

ssize_t flow_send(struct flow *flow, size_t len, int flags)
{
	unsigned char buf[PIECE];
	ssize_t n;

	require(len <= sizeof(buf));
	fill(buf, len, flow->stream, flow->sent);
	n = send(flow->from, buf, len, flags | MSG_NOSIGNAL);
	if (n > 0)
		flow->sent += n;
	return n;
}

ssize_t flow_recv(struct flow *flow, size_t len, int flags)
{
	unsigned char buf[PIECE];
	ssize_t n;

	require(len <= sizeof(buf));
	n = recv(flow->to, buf, len, flags);
	if (n > 0)
		flow_check(flow, buf, n);
	return n;
}

void flow_put(struct flow *flow, size_t len)
{
	while (len)
		len -= succeeds(flow_send(flow, len < PIECE ? len : PIECE, 0));
}

void flow_take(struct flow *flow, size_t len)
{
	while (len) {
		ssize_t n = succeeds(flow_recv(flow, len < PIECE ? len : PIECE, 0));

		if (!n)
			give_up(__FILE__, __LINE__,
				"stream %u: end of file at offset %lu, %zu bytes early",
				flow->stream, (unsigned long)flow->taken, len);
		len -= n;
	}
}

void flow_end(struct flow *flow)
{
	for (int i = 0; i < 2; i++)
		returns(0, flow_recv(flow, 100, 0));
}

size_t flow_fill(struct flow *flow, size_t most)
{
	size_t total = 0;

	while (total < most) {
		ssize_t n = flow_send(flow, PIECE, MSG_DONTWAIT);

		if (n < 0) {
			require(errno == EAGAIN);
			break;
		}
		total += n;
	}
	return total;
}

void flow_fill_up(struct flow *flow)
{
	/* What is in flight is acknowledged, and makes room, at any moment. */
	await(packets_in_flight(flow->from) == 0 && flow_fill(flow, TOO_MUCH) == 0 &&
	      packets_in_flight(flow->from) == 0);
	if (flow->sent - flow->taken >= TOO_MUCH)
		give_up(__FILE__, __LINE__, "%lu bytes were taken for a reader that does not read",
			(unsigned long)flow->sent);
}

void flow_drain(struct flow *flow)
{
	flow_take(flow, flow->sent - flow->taken);
}

unsigned int random_below(unsigned int *seed, unsigned int limit)
{
	return rand_r(seed) % limit;
}
