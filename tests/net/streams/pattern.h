/* SPDX-License-Identifier: GPL-2.0-only */
/* The bytes of a stream: a function of the stream's key and the offset. */
#ifndef TRAFFIC_PATTERN_H
#define TRAFFIC_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_END 16 /* bytes of the mark that closes a stream */

static inline uint64_t pattern_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Key of one direction of one connection: who owns its bytes. */
uint64_t pattern_key(uint32_t seed, uint32_t tenant, uint64_t id, int direction);

/* Write the bytes of @key from @offset on. */
void pattern_fill(uint64_t key, uint64_t offset, unsigned char *buf, size_t len);

/* Index of the first byte in @buf that is not the one at its offset, or @len. */
size_t pattern_check(uint64_t key, uint64_t offset, const unsigned char *buf, size_t len);

/* Offset within 16 MiB around @offset at which @key has the 16 bytes of
 * @got, or -1: tells where bytes in a wrong place come from.
 */
int64_t pattern_find(uint64_t key, uint64_t offset, const unsigned char *got);

#endif /* TRAFFIC_PATTERN_H */
