// SPDX-License-Identifier: GPL-2.0-only
/* What messages carry, so that a wrong stream is not counted as speed: a
 * stamp in each 4 KiB that depends on the connection and the position, and at
 * the end of a stream its length.
 */
#include <string.h>

#include "netbench.h"

#define STRIDE 4096
#define END_STAMP 0x5a5a5a5aa5a5a5a5ULL

static uint64_t stamp(uint32_t index, uint64_t where)
{
	return (where + 1 + ((uint64_t)index << 44)) * 0x9e3779b97f4a7c15ULL;
}

static uint64_t first_stamp(uint64_t from)
{
	return (from + STRIDE - 1) / STRIDE * STRIDE;
}

/* Make the message under way in @buf. Stamps are at multiples of STRIDE in the
 * stream. It is made again for its remainder, from its start, so that all
 * connections can share one buffer.
 */
void nb_payload__stamp_stream(const struct nb_conn *c, char *buf, uint32_t size)
{
	uint64_t from = c->messages * size, at, word;

	for (at = first_stamp(from); at + 8 <= from + size; at += STRIDE) {
		word = stamp(c->index, at);
		memcpy(buf + (at - from), &word, 8);
	}
	if (c->last) {
		word = (from + size) ^ END_STAMP;
		memcpy(buf + size - 8, &word, 8);
	}
}

/* False if one of the stamps that lie wholly in the next @n bytes is wrong.
 * One that would touch the last 8 bytes of a message is not looked at: the
 * length of the stream may stand there.
 */
bool nb_payload__check_stream(struct nb_conn *c, const char *buf, size_t n, uint32_t size)
{
	uint64_t from = c->offset, at, word;

	for (at = first_stamp(from); at + 8 <= from + n; at += STRIDE) {
		memcpy(&word, buf + (at - from), 8);
		if (word != stamp(c->index, at) && at % size + 16 <= size)
			return false;
	}
	c->offset += n;
	if (n >= 8) {
		memcpy(c->tail, buf + n - 8, 8);
	} else {
		memmove(c->tail, c->tail + n, 8 - n);
		memcpy(c->tail + 8 - n, buf, n);
	}
	return true;
}

/* At the end of a stream: is it as long as the writer says? */
bool nb_payload__complete(const struct nb_conn *c)
{
	uint64_t word;

	memcpy(&word, c->tail, 8);
	return word == (c->offset ^ END_STAMP);
}

/* A request has a stamp at each multiple of STRIDE in itself. */
void nb_payload__stamp_request(const struct nb_conn *c, char *buf, uint32_t size)
{
	uint64_t word;
	uint32_t at;

	for (at = 0; at + 8 <= size; at += STRIDE) {
		word = stamp(c->index, c->messages * size + at);
		memcpy(buf + at, &word, 8);
	}
}

bool nb_payload__check_response(const struct nb_conn *c, const char *buf, size_t n, uint32_t size)
{
	uint64_t at, word, from = c->done;

	for (at = first_stamp(from); at + 8 <= from + n; at += STRIDE) {
		memcpy(&word, buf + (at - from), 8);
		if (word != stamp(c->index, c->messages * size + at))
			return false;
	}
	return true;
}
