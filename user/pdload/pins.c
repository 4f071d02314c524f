// SPDX-License-Identifier: GPL-2.0-only
/* What is pinned under PD_PIN_DIR, and the lock that serialises its writers. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pins.h"

#define LOCK_FILE "/run/pipedevice.lock"
#define LOCK_TRIES 100 /* 100 ms apart: 10 s */

int pd_pins__lock(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	char text[32] = "";
	int fd, i, len;
	ssize_t n;

	fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		int err = -errno;

		p_err("can't open %s: %s; run pdload as root", LOCK_FILE, strerror(-err));
		return err;
	}
	for (i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
			int err = -errno;

			n = pread(fd, text, sizeof(text) - 1, 0);
			text[n > 0 ? n : 0] = '\0';
			p_err("can't lock %s: another pdload (pid %d) has held it for 10 s; wait for "
			      "it or end it",
			      LOCK_FILE, atoi(text));
			close(fd);
			return err;
		}
		nanosleep(&pause, NULL);
	}
	/* For the message above, in the other process. */
	len = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) || pwrite(fd, text, len, 0) != len)
		p_warn("can't write to %s: %s", LOCK_FILE, strerror(errno));
	return fd;
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

bool pd_pins__present(void)
{
	return exists(PD_PIN_DIR "/links/detect") && exists(PD_PIN_DIR "/maps/pd_control");
}

bool pd_pins__draining(void)
{
	struct pd_control *control = pd_pins__control();
	bool draining;

	if (!control)
		return false;
	draining = !__atomic_load_n(&control->enrolling, __ATOMIC_RELAXED);
	munmap(control, sysconf(_SC_PAGESIZE));
	return draining;
}

int pd_pins__require(void)
{
	if (geteuid()) {
		p_err("can't look at the programs of pipedevice: this needs root; run pdload as "
		      "root");
		return PD_EXIT_FAILED;
	}
	if (pd_pins__present())
		return PD_EXIT_OK;
	if (exists(PD_PIN_DIR)) {
		p_err("%s exists, but `pdload up` did not make it; look at what is in it and "
		      "remove it",
		      PD_PIN_DIR);
		return PD_EXIT_FAILED;
	}
	p_err("PipeDevice is not up; start it with `pdload up`");
	return PD_EXIT_NOT_UP;
}

static int get(const char *kind, const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", PD_PIN_DIR, kind, name);
	fd = bpf_obj_get(path);
	if (fd < 0) {
		fd = -errno;
		p_err("can't open %s: %s", path, strerror(-fd));
	}
	return fd;
}

int pd_pins__map(const char *name)
{
	return get("maps", name);
}

int pd_pins__prog(const char *name)
{
	return get("progs", name);
}

int pd_pins__link(const char *name)
{
	return get("links", name);
}

struct pd_control *pd_pins__control(void)
{
	int fd = pd_pins__map("pd_control");
	void *mem;

	if (fd < 0)
		return NULL;
	mem = mmap(NULL, sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED) {
		p_err("can't map %s/maps/pd_control: %s", PD_PIN_DIR, strerror(errno));
		mem = NULL;
	}
	close(fd);
	return mem;
}

/* Read all of @fd. Returns a malloc()ed buffer, or NULL and *len is -errno. */
static char *read_all(int fd, ssize_t *len)
{
	size_t size = 1 << 16, used = 0;
	char *buf = malloc(size);

	for (;;) {
		char *bigger;
		ssize_t n;

		if (!buf) {
			*len = -ENOMEM;
			return NULL;
		}
		n = read(fd, buf + used, size - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*len = -errno;
			free(buf);
			return NULL;
		}
		if (!n)
			break;
		used += n;
		if (used < size)
			continue;
		size *= 2;
		bigger = realloc(buf, size);
		if (!bigger)
			free(buf);
		buf = bigger;
	}
	*len = used;
	return buf;
}

/* The programs note that a connection was released when it next sends. */
static void settle_released(struct pd_conn_record *record)
{
	struct pd_conn *conn = &record->conn;

	if (!record->released ||
	    (conn->state != PD_STATE_CANDIDATE && conn->state != PD_STATE_PAIRED))
		return;
	conn->state = PD_STATE_RELEASED;
	conn->reason = PD_REASON_RELEASED;
	conn->path = PD_PATH_TCP;
}

int pd_pins__conns(struct pd_conn_record **records, size_t *nr)
{
	int link_fd, iter_fd, err = 0;
	ssize_t len = 0;

	*records = NULL;
	*nr = 0;
	link_fd = pd_pins__link("inspect_conns");
	if (link_fd < 0)
		return link_fd;
	iter_fd = bpf_iter_create(link_fd);
	if (iter_fd < 0) {
		err = -errno;
		p_err("can't start the iterator over connections: %s", strerror(-err));
		goto close_link;
	}
	*records = (struct pd_conn_record *)read_all(iter_fd, &len);
	if (!*records || len % sizeof(**records)) {
		err = *records ? -EPROTO : len;
		p_err("can't read the list of connections: %s", strerror(-err));
		free(*records);
		*records = NULL;
	} else {
		*nr = len / sizeof(**records);
		for (size_t i = 0; i < *nr; i++)
			settle_released(&(*records)[i]);
	}
	close(iter_fd);
close_link:
	close(link_fd);
	return err;
}
