// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "insn.h"
#include "paper.h"

#define HUGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4096)
#define FRAME_MASK ((1ULL << 55) - 1)
#define PERIOD 65521 /* a prime */

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

/* Every other page first, so that those that the kernel gives one after the other are not
 * neighbours here: how many of them are would depend on what has run before.
 */
static void touch(char *data, size_t size)
{
	for (size_t first = 0; first < 2; first++)
		for (size_t i = first * SMALL_PAGE; i < size; i += 2 * SMALL_PAGE)
			data[i] = 0;
}

void *buffer_map(size_t size, bool huge)
{
	size_t whole = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, before = huge_bytes(), got;
	char *data = mmap(NULL, whole + HUGE_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	data += HUGE_PAGE - (uintptr_t)data % HUGE_PAGE;
	/* A child that shared it would have the kernel split it. */
	if (madvise(data, whole, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) ||
	    madvise(data, whole, MADV_DONTFORK))
		fail("madvise: %s", strerror(errno));
	touch(data, size);
	got = huge_bytes() - before;
	if (got != (huge ? whole : 0))
		fail("the kernel gives %zu bytes of huge pages to a buffer of %zu", got, size);
	return data;
}

unsigned int buffer_stretches(const void *data, size_t size)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t page = (uintptr_t)data / SMALL_PAGE, entry, last = 0;
	unsigned int nr = 0;

	for (size_t i = 0; i * SMALL_PAGE < size; i++) {
		if (pread(fd, &entry, sizeof(entry), (off_t)((page + i) * sizeof(entry))) !=
		    sizeof(entry))
			fail("pagemap: %s", strerror(errno));
		entry &= FRAME_MASK;
		nr += entry != last + 1;
		last = entry;
	}
	close(fd);
	return nr;
}

/* PERIOD random bytes, twice. */
static const char *table(void)
{
	static char bytes[2 * PERIOD];
	uint32_t x = 2463534242U;

	if (bytes[0])
		return bytes;
	for (size_t i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		bytes[i] = bytes[i + PERIOD] = (char)(x >> 11);
	}
	bytes[0] = bytes[PERIOD] = 1;
	return bytes;
}

static const char *pattern(unsigned int id, uint64_t place)
{
	return table() + (id * 4099ULL + place) % PERIOD;
}

static size_t chunk(size_t size)
{
	return size < PERIOD ? size : PERIOD;
}

void pattern_fill(void *data, size_t size, unsigned int id, uint64_t place)
{
	for (size_t done = 0, n; done < size; done += n) {
		n = chunk(size - done);
		memcpy((char *)data + done, pattern(id, place + done), n);
	}
}

void pattern_check(const void *data, size_t size, unsigned int id, uint64_t place)
{
	for (size_t done = 0, n; done < size; done += n) {
		n = chunk(size - done);
		if (memcmp((const char *)data + done, pattern(id, place + done), n))
			fail("connection %u: wrong bytes from %llu on", id,
			     (unsigned long long)(place + done));
	}
}
