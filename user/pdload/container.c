/* SPDX-License-Identifier: GPL-2.0-only */
/* Containers as their runtimes list them: names to ids and back. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"

#define ID_LEN 64
#define LIST_BYTES (16U << 20) /* that a runtime may print */
#define LIST_SECONDS 10 /* that it may take */
#define ASK_AGAIN_MS 5000 /* for one that it did not know, at the earliest */
#define ASK_AGAIN_TIMES 10 /* and so many times as long as it took */

extern char **environ;

struct container {
	char id[ID_LEN + 1];
	char *name;
};

struct runtime {
	char *const *argv;
	bool asked;
	long again_ms; /* when it may be asked again, as now_ms() */
	int status; /* 0: it answered; -ENOENT: it is not installed; -errno */
	struct container *containers;
	size_t nr;
};

/* In the order in which they are asked. */
static struct runtime runtimes[] = {
	{ .argv = (char *[]){ "podman", "ps", "-a", "--no-trunc", "--format", "json", NULL } },
	{ .argv = (char *[]){ "docker", "ps", "-a", "--no-trunc", "--format", "{{json .}}",
			      NULL } },
};
#define NR_RUNTIMES (sizeof(runtimes) / sizeof(*runtimes))

static bool asks_again;

static bool is_id(const char *text)
{
	return strlen(text) == ID_LEN && strspn(text, "0123456789abcdef") == ID_LEN;
}

static void add_container(struct runtime *runtime, const char *id, const char *name, size_t len)
{
	struct container *all;

	for (size_t i = 0; i < runtime->nr; i++) {
		const struct container *c = &runtime->containers[i];

		if (!strcmp(c->id, id) && strlen(c->name) == len && !memcmp(c->name, name, len))
			return;
	}
	all = realloc(runtime->containers, (runtime->nr + 1) * sizeof(*all));
	if (!all)
		return;
	runtime->containers = all;
	strcpy(all[runtime->nr].id, id);
	all[runtime->nr].name = strndup(name, len);
	if (all[runtime->nr].name)
		runtime->nr++;
}

/* podman: {"Id": "...", "Names": ["a"]}, docker: {"ID": "...", "Names": "a,b"}.
 * cJSON_GetObjectItem() ignores case.
 */
static void take_container(struct runtime *runtime, const cJSON *obj)
{
	const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(obj, "Id"));
	const cJSON *names = cJSON_GetObjectItem(obj, "Names"), *name;
	const char *text = cJSON_GetStringValue(names);

	if (!id || !is_id(id))
		return;
	cJSON_ArrayForEach(name, names)
		if (cJSON_IsString(name))
			add_container(runtime, id, name->valuestring, strlen(name->valuestring));
	while (text && *text) {
		size_t len = strcspn(text, ",");

		add_container(runtime, id, text, len);
		text += len + (text[len] == ',');
	}
}

/* One array of containers, or any number of them one after the other. */
static int take_list(struct runtime *runtime, const char *text)
{
	const cJSON *entry;
	const char *end;
	cJSON *json;

	for (;; text = end) {
		while (isspace((unsigned char)*text))
			text++;
		if (!*text)
			return 0;
		json = cJSON_ParseWithOpts(text, &end, false);
		if (!json)
			return -EPROTO;
		if (cJSON_IsObject(json))
			take_container(runtime, json);
		else
			cJSON_ArrayForEach(entry, json)
				take_container(runtime, entry);
		cJSON_Delete(json);
	}
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All that can be read from @fd in time, NUL-terminated; NULL and *err. */
static char *read_all(int fd, int *err)
{
	long end = now_ms() + LIST_SECONDS * 1000, left;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char *text = NULL, *more;
	size_t len = 0, size = 0;
	ssize_t got;

	for (;;) {
		if (len + 1 >= size) {
			size = size ? 2 * size : 65536;
			more = size > LIST_BYTES ? NULL : realloc(text, size);
			*err = size > LIST_BYTES ? -EFBIG : -ENOMEM;
			if (!more)
				break;
			text = more;
		}
		*err = -ETIMEDOUT;
		left = end - now_ms();
		if (left <= 0)
			break;
		if (poll(&pollfd, 1, left) <= 0)
			continue;
		got = read(fd, text + len, size - len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		*err = got < 0 ? -errno : 0;
		if (got < 0)
			break;
		if (!got) {
			text[len] = '\0';
			return text;
		}
		len += got;
	}
	free(text);
	return NULL;
}

/* Start @argv with its output in *out. Returns its pid or -errno. */
static pid_t start(char *const *argv, int *out)
{
	posix_spawn_file_actions_t actions;
	int pipe[2], err;
	pid_t pid;

	if (pipe2(pipe, O_CLOEXEC))
		return -errno;
	err = posix_spawn_file_actions_init(&actions);
	if (!err) {
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
		err = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(pipe[1]);
	if (err) {
		close(pipe[0]);
		return -err;
	}
	*out = pipe[0];
	return pid;
}

static int list(struct runtime *runtime)
{
	int out = -1, err, status;
	char *text;
	pid_t pid;

	pid = start(runtime->argv, &out);
	if (pid < 0)
		return pid;
	text = read_all(out, &err);
	close(out);
	if (!text)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (text)
		err = status ? -EIO : take_list(runtime, text);
	free(text);
	return err;
}

static void ask(struct runtime *runtime)
{
	long begun = now_ms(), wait;

	runtime->asked = true;
	runtime->status = list(runtime);
	wait = ASK_AGAIN_TIMES * (now_ms() - begun);
	runtime->again_ms = now_ms() + (wait > ASK_AGAIN_MS ? wait : ASK_AGAIN_MS);
}

static bool may_know_more(const struct runtime *runtime)
{
	if (!runtime->asked)
		return true;
	return asks_again && runtime->status != -ENOENT && runtime->status != -ETIMEDOUT &&
	       now_ms() > runtime->again_ms;
}

static const struct container *find_known(const struct runtime *runtime, const char *id,
					  const char *name)
{
	size_t i;

	for (i = 0; i < runtime->nr; i++) {
		const struct container *c = &runtime->containers[i];

		if (id ? !strcmp(c->id, id) : !strcmp(c->name, name))
			return c;
	}
	return NULL;
}

/* Valid until the next call: a runtime that is asked again moves what it knows. */
static const struct container *find(const char *id, const char *name)
{
	const struct container *found;
	struct runtime *r;

	for (r = runtimes; r < runtimes + NR_RUNTIMES; r++) {
		found = find_known(r, id, name);
		if (found)
			return found;
	}
	for (r = runtimes; r < runtimes + NR_RUNTIMES; r++) {
		if (!may_know_more(r))
			continue;
		ask(r);
		found = find_known(r, id, name);
		if (found)
			return found;
	}
	return NULL;
}

void pd_container__ask_again(void)
{
	asks_again = true;
}

const char *pd_container__name(const char *path)
{
	const char *innermost = NULL;
	const struct container *c;
	char id[ID_LEN + 1];
	size_t len;

	/* Each run of exactly 64 digits of base 16; the last known one is the
	 * container, those before it are what it runs in.
	 */
	for (; *path; path += len ? len : 1) {
		len = strspn(path, "0123456789abcdef");
		if (len != ID_LEN)
			continue;
		memcpy(id, path, ID_LEN);
		id[ID_LEN] = '\0';
		c = find(id, NULL);
		if (c)
			innermost = c->name;
	}
	return innermost;
}

int pd_container__id(const char *name, char id[65])
{
	const struct container *c = find(NULL, name);
	bool answered = false;
	int err = -ENOENT;
	struct runtime *r;

	if (c) {
		strcpy(id, c->id);
		return 0;
	}
	for (r = runtimes; r < runtimes + NR_RUNTIMES; r++) {
		/* One that does not answer runs no container that matters, as
		 * long as another does.
		 */
		if (!r->status)
			answered = true;
		else if (err == -ENOENT)
			err = r->status;
	}
	return answered ? -ENOENT : err;
}
