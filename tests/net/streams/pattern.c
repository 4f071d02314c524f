// SPDX-License-Identifier: GPL-2.0-only
/* Each aligned word of 8 bytes is a hash of the key and the word's index, so
 * that a byte of another stream, or of another place in this one, shows.
 */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

#define SEARCH (16UL << 20)
#define SAMPLE 16

static uint64_t word_at(uint64_t key, uint64_t index)
{
	return pattern_mix(key + index * 0x9e3779b97f4a7c15ULL);
}

uint64_t pattern_key(uint32_t seed, uint32_t tenant, uint64_t id, int direction)
{
	uint64_t key = pattern_mix(((uint64_t)seed << 32 | tenant) + 1);

	return pattern_mix(key ^ pattern_mix(id * 2 + direction + 1));
}

void pattern_fill(uint64_t key, uint64_t offset, unsigned char *buf, size_t len)
{
	while (len) {
		uint64_t word = word_at(key, offset / 8);
		size_t skip = offset % 8, n = 8 - skip;

		if (n > len)
			n = len;
		if (n == 8)
			memcpy(buf, &word, 8);
		else
			memcpy(buf, (unsigned char *)&word + skip, n);
		buf += n;
		offset += n;
		len -= n;
	}
}

size_t pattern_check(uint64_t key, uint64_t offset, const unsigned char *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t word = word_at(key, (offset + done) / 8), got;
		size_t skip = (offset + done) % 8, n = 8 - skip;

		if (n > len - done)
			n = len - done;
		if (n == 8) {
			memcpy(&got, buf + done, 8);
			if (got == word) {
				done += 8;
				continue;
			}
		}
		for (size_t i = 0; i < n; i++)
			if (buf[done + i] != ((unsigned char *)&word)[skip + i])
				return done + i;
		done += n;
	}
	return len;
}

int64_t pattern_find(uint64_t key, uint64_t offset, const unsigned char *got)
{
	uint64_t start = offset > SEARCH / 2 ? offset - SEARCH / 2 : 0;
	unsigned char *bytes = malloc(SEARCH), *hit;
	int64_t found = -1;

	if (!bytes)
		return -1;
	pattern_fill(key, start, bytes, SEARCH);
	hit = memmem(bytes, SEARCH, got, SAMPLE);
	if (hit)
		found = start + (hit - bytes);
	free(bytes);
	return found;
}
