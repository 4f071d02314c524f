// SPDX-License-Identifier: GPL-2.0-only
/* The directory of pins, made and removed as a whole: bpffs renames
 * directories, so that nobody ever sees half of it.
 */
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pin_dir.h"

#define PARENT "/sys/fs/bpf"
#define ASIDE "pipedevice+" /* followed by the pid of the run; bpffs takes no dots */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (remove(path))
		p_warn("can't remove %s: %s", path, strerror(errno));
	return 0;
}

void pd_pin_dir__remove(const char *dir)
{
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int pd_pin_dir__clean(void)
{
	DIR *parent = opendir(PARENT);
	struct dirent *entry;
	char path[PATH_MAX];
	int cleaned = 0;

	if (!parent)
		return 0;
	while ((entry = readdir(parent))) {
		if (strncmp(entry->d_name, ASIDE, strlen(ASIDE)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", PARENT, entry->d_name);
		pd_pin_dir__remove(path);
		cleaned++;
	}
	closedir(parent);
	return cleaned;
}

int pd_pin_dir__prepare(char *dir, size_t size)
{
	static const char *const kinds[] = { "maps", "progs", "links" };
	char path[PATH_MAX];
	struct stat st;

	if (!lstat(PD_PIN_DIR, &st)) {
		p_err("can't start: %s exists (owner uid %u), but `pdload up` did not make it; "
		      "look at what is in it and remove it",
		      PD_PIN_DIR, st.st_uid);
		return -EEXIST;
	}
	pd_pin_dir__clean();
	snprintf(dir, size, "%s/%s%d", PARENT, ASIDE, getpid());
	for (int i = -1; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s%s", dir, i < 0 ? "" : "/",
			 i < 0 ? "" : kinds[i]);
		if (mkdir(path, 0700)) {
			int err = -errno;

			p_err("can't make %s: %s", path, strerror(-err));
			pd_pin_dir__remove(dir);
			return err;
		}
	}
	return 0;
}

static int pin_failed(const char *path, int err)
{
	p_err("can't pin %s: %s", path, strerror(-err));
	return err;
}

int pd_pin_dir__fill(const char *dir, struct bpf_object *object)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	char path[PATH_MAX];
	int err;

	bpf_object__for_each_map(map, object) {
		/* Not .rodata: its name has a dot, and nobody needs it. */
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/maps/%s", dir, bpf_map__name(map));
		err = bpf_map__pin(map, path);
		if (err)
			return pin_failed(path, err);
	}
	bpf_object__for_each_program(prog, object) {
		snprintf(path, sizeof(path), "%s/progs/%s", dir, bpf_program__name(prog));
		err = bpf_program__pin(prog, path);
		if (err)
			return pin_failed(path, err);
	}
	return 0;
}

int pd_pin_dir__publish(const char *dir)
{
	if (rename(dir, PD_PIN_DIR)) {
		int err = -errno;

		p_err("can't rename %s to %s: %s", dir, PD_PIN_DIR, strerror(-err));
		return err;
	}
	return 0;
}

int pd_pin_dir__withdraw(void)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/%s%d", PARENT, ASIDE, getpid());
	if (rename(PD_PIN_DIR, dir)) {
		int err = -errno;

		p_err("can't remove %s: %s", PD_PIN_DIR, strerror(-err));
		return err;
	}
	pd_pin_dir__remove(dir);
	return 0;
}
