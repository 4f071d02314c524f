// SPDX-License-Identifier: GPL-2.0-only
/* Large memory to send from and receive into. */
#include <sys/mman.h>

#include "sockets.h"

char *large_buffer(int fd)
{
	char *map = mmap(NULL, LARGE, PROT_READ | PROT_WRITE,
			 fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	require(map != MAP_FAILED);
	/* Pages are there. */
	memset(map, 1, LARGE);
	return map;
}

int buffer_file(void)
{
	int fd = succeeds(memfd_create("buffer", MFD_CLOEXEC));

	succeeds(ftruncate(fd, LARGE));
	return fd;
}

void require_unpinned(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long kb = 1;
	char line[256];

	require(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmPin: %lu", &kb);
	fclose(status);
	if (kb)
		give_up(__FILE__, __LINE__, "%lu kB are pinned", kb);
}
