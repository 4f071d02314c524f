// SPDX-License-Identifier: GPL-2.0-only
/* What `pdload status` counted meanwhile: a case that ran on plain TCP would say
 * nothing of the engine.
 */
#include "run.h"

static struct counters {
	unsigned long accelerated, redirected, tcp;
} last;

/* The first of this name, that of the totals. */
static unsigned long number_of(const char *json, const char *name)
{
	const char *at = strstr(json, name);

	return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static struct counters read_counters(const char *pdload)
{
	char command[512], json[16384];
	size_t used = 0, n;
	FILE *pipe;

	snprintf(command, sizeof(command), "'%s' status --json", pdload);
	pipe = popen(command, "re");
	while (pipe && (n = fread(json + used, 1, sizeof(json) - 1 - used, pipe)))
		used += n;
	json[used] = '\0';
	if (!pipe || pclose(pipe)) {
		fprintf(stderr, "%s: failed\n", command);
		exit(2);
	}
	return (struct counters){
		.accelerated = number_of(json, "\"accelerated\":"),
		.redirected = number_of(json, "\"redirected_bytes\":"),
		.tcp = number_of(json, "\"tcp_bytes\":"),
	};
}

void counters_begin(const char *pdload)
{
	last = read_counters(pdload);
}

const char *counters_refuse(const char *pdload, bool at_once)
{
	long end = now_ms() + 2000;
	struct counters now, before = last;

	/* A socket that is about to close may not be counted for a moment. */
	do {
		now = last = read_counters(pdload);
		if (now.accelerated > before.accelerated &&
		    (!at_once || now.redirected > before.redirected || now.tcp <= before.tcp))
			return NULL;
		nap();
	} while (now_ms() < end);
	return now.accelerated > before.accelerated ? "bytes were sent and none was redirected" :
						      "no connection was accelerated";
}
