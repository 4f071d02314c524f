// SPDX-License-Identifier: GPL-2.0-only
#include "plan.h"

#include <string.h>

#include "pattern.h"

const struct scenario scenarios[] = {
	{ .name = "duplex", .threads = true },
	{ .name = "upload", .none = { false, true }, .threads = true },
	{ .name = "download", .none = { true, false }, .threads = true },
	{ .name = "rr", .gates = { GATE_ROUND, GATE_MIRROR }, .threads = true },
	{ .name = "halfclose", .gates = { GATE_OPEN, GATE_AFTER }, .threads = true },
	{ .name = "wclose",
	  .none = { false, true },
	  .mute = { false, true },
	  .ends = { END_CLOSE, END_KEEP },
	  .threads = true },
	{ .name = "sclose",
	  .gates = { GATE_OPEN, GATE_AFTER },
	  .ends = { END_KEEP, END_CLOSE },
	  .threads = true },
	{ .name = "unread", .ends = { END_UNREAD, END_FIN }, .abort = true },
	{ .name = "sunread", .ends = { END_FIN, END_UNREAD }, .abort = true },
	{ .name = "rst", .ends = { END_RST, END_FIN }, .abort = true },
	{ .name = "srst", .ends = { END_FIN, END_RST }, .abort = true },
	{ .name = "forever", .endless = { true, true }, .threads = true },
	{ .name = "flood", .endless = { true, false }, .none = { false, true } },
	{ .name = "sflood", .endless = { true, true }, .none = { true, false } },
};

const size_t nr_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);

int plan_find(const char *name)
{
	for (size_t i = 0; i < nr_scenarios; i++)
		if (!strcmp(scenarios[i].name, name))
			return i;
	return -1;
}

uint64_t plan_check(const void *data, size_t len)
{
	uint64_t sum = len, word;

	for (size_t i = 0; i + 8 < len; i += 8) {
		memcpy(&word, (const char *)data + i, 8);
		sum = pattern_mix(sum ^ word);
	}
	return sum;
}

uint64_t rng_next(struct rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15ULL;
	return pattern_mix(rng->state);
}

uint64_t rng_size(struct rng *rng, const struct range *range)
{
	int low = 63 - __builtin_clzll(range->min | 1), high = 63 - __builtin_clzll(range->max | 1);
	int bits = low + rng_next(rng) % (high - low + 1);
	uint64_t size = (1ULL << bits) + rng_next(rng) % (1ULL << bits);

	if (size < range->min)
		return range->min;
	return size > range->max ? range->max : size;
}
