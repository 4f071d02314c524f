// SPDX-License-Identifier: GPL-2.0-only
/* The defects of this kernel as `pdload up` tells of them: tried once a boot.
 * The file is a line with the boot id and the version of pdload, and then one
 * "NAME STATE" for each defect.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "defects_seen.h"

#define SEEN_FILE "/run/pipedevice.defects"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* "BOOT_ID VERSION", or "" if the kernel does not tell. */
static void stamp_of_now(char *stamp, size_t size)
{
	FILE *file = fopen(BOOT_ID, "re");
	char id[64] = "";

	stamp[0] = '\0';
	if (!file)
		return;
	if (fscanf(file, "%63s", id) == 1)
		snprintf(stamp, size, "%s %s", id, PD_VERSION);
	fclose(file);
}

/* Whether the file has all of them, and not those of another build. */
static bool read_seen(const char *stamp)
{
	FILE *file = fopen(SEEN_FILE, "re");
	char line[128], name[64];
	const struct pd_defect *d;
	bool found = false;
	int state, missing = 0;

	if (!file)
		return false;
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		found = *stamp && !strcmp(line, stamp);
	}
	for (d = pd_defects; d->name; d++)
		missing++;
	while (found && fscanf(file, "%63s %d", name, &state) == 2) {
		for (struct pd_defect *seen = pd_defects; seen->name; seen++) {
			if (!strcmp(seen->name, name)) {
				seen->state = state;
				missing--;
			}
		}
	}
	fclose(file);
	return found && !missing;
}

/* What can't be kept is tried again next time. */
static void write_seen(const char *stamp)
{
	char path[sizeof(SEEN_FILE) + 16];
	FILE *file;

	snprintf(path, sizeof(path), "%s.%d", SEEN_FILE, getpid());
	file = fopen(path, "we");
	if (!file)
		return;
	fprintf(file, "%s\n", stamp);
	for (const struct pd_defect *d = pd_defects; d->name; d++)
		fprintf(file, "%s %d\n", d->name, d->state);
	if (fclose(file) || rename(path, SEEN_FILE))
		unlink(path);
}

void pd_defects_seen__load(void)
{
	char stamp[128];

	stamp_of_now(stamp, sizeof(stamp));
	if (read_seen(stamp))
		return;
	pd_defects__run(NULL);
	if (*stamp)
		write_seen(stamp);
}

bool pd_defects_seen__matters(const struct pd_defect *defect)
{
	return defect->state == PD_DEFECT_PRESENT && !defect->avoided;
}
