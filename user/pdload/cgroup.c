/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroup ids to paths. The id of a cgroup is the inode number of its directory
 * and never used again, so what was found, or found missing, stays so.
 */
#include <dirent.h>
#include <limits.h>
#include <mntent.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"

struct known {
	__u64 id;
	char *path; /* NULL: gone before it was asked for */
};

static void *known_root; /* a tree of struct known, see tsearch(3) */

static int compare(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Enter @id, unless it is there. Returns its entry, NULL without memory. */
static const struct known *remember(__u64 id, const char *path)
{
	struct known *entry = calloc(1, sizeof(*entry)), **found;

	if (!entry)
		return NULL;
	entry->id = id;
	entry->path = path ? strdup(path) : NULL;
	found = path && !entry->path ? NULL : tsearch(entry, &known_root, compare);
	if (!found || *found != entry) {
		free(entry->path);
		free(entry);
	}
	return found ? *found : NULL;
}

static const struct known *look_up(__u64 id)
{
	struct known key = { .id = id }, **found = tfind(&key, &known_root, compare);

	return found ? *found : NULL;
}

const char *pd_cgroup__mount(void)
{
	static char *mount;
	struct mntent *entry;
	FILE *mounts;

	if (mount)
		return mount;
	mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return NULL;
	while (!mount && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "cgroup2"))
			mount = strdup(entry->mnt_dir);
	endmntent(mounts);
	return mount;
}

/* Enter the directories below @dir, a buffer of PATH_MAX whose first @root bytes
 * are the mount point. Directories that go away meanwhile are left out.
 */
static void walk(char *dir, size_t root)
{
	size_t len = strlen(dir);
	struct dirent *entry;
	DIR *stream = opendir(dir);

	if (!stream)
		return;
	while ((entry = readdir(stream))) {
		if (entry->d_type != DT_DIR || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, "..") || len + 1 + strlen(entry->d_name) >= PATH_MAX)
			continue;
		sprintf(dir + len, "/%s", entry->d_name);
		remember(entry->d_ino, dir + root);
		walk(dir, root);
		dir[len] = '\0';
	}
	closedir(stream);
}

static void walk_all(void)
{
	const char *mount = pd_cgroup__mount();
	char dir[PATH_MAX];
	struct stat st;

	if (!mount || strlen(mount) >= sizeof(dir) || stat(mount, &st))
		return;
	remember(st.st_ino, "/");
	strcpy(dir, mount);
	walk(dir, strlen(dir));
}

const char *pd_cgroup__path(__u64 id)
{
	const struct known *entry = look_up(id);

	if (!entry) {
		walk_all();
		entry = remember(id, NULL);
	}
	return entry ? entry->path : NULL;
}
