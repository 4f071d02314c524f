/* SPDX-License-Identifier: GPL-2.0-only */
/* The configuration that the running kernel was built with. */
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <zlib.h>

#include "pd_features.h"

char *pd_config__value(const char *text, const char *option, char value[128])
{
	size_t len = strlen(option);
	const char *line = text;

	strcpy(value, "n");
	while (line && *line) {
		if (!strncmp(line, option, len) && line[len] == '=') {
			const char *from = line + len + 1;
			size_t n = strcspn(from, "\r\n");

			if (n >= 2 && *from == '"' && from[n - 1] == '"') {
				from++;
				n -= 2;
			}
			snprintf(value, 128, "%.*s", (int)n, from);
			break;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return value;
}

static char *read_gz(const char *path)
{
	const size_t max = 4 << 20;
	gzFile file = gzopen(path, "re");
	size_t len = 0, room = 1 << 18;
	char *text = NULL, *more;
	int n = 0;

	if (!file)
		return NULL;
	do {
		len += n;
		if (!text || room - len < 2) {
			room *= 2;
			more = realloc(text, room);
			if (!more || room > max) {
				free(more ? more : text);
				gzclose(file);
				return NULL;
			}
			text = more;
		}
		n = gzread(file, text + len, room - len - 1);
	} while (n > 0);
	gzclose(file);
	text[len] = '\0';
	return text;
}

char *pd_config__read(const char **file)
{
	static char path[256];
	struct utsname name;
	char *text;
	size_t i;

	uname(&name);
	for (i = 0; i < 3; i++) {
		if (i == 0)
			strcpy(path, "/proc/config.gz");
		else
			snprintf(path, sizeof(path),
				 i == 1 ? "/boot/config-%s" : "/lib/modules/%s/config",
				 name.release);
		text = read_gz(path);
		if (text) {
			*file = path;
			return text;
		}
	}
	*file = NULL;
	return NULL;
}
