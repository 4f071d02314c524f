/* SPDX-License-Identifier: GPL-2.0-only */
#include "trial_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

long pd_trial__now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool pd_trial__ready(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) == 1 && (pfd.revents & events);
}

/* ---- steps ---- */

bool pd_trial__give(struct pd_trial *t, const char *text)
{
	ssize_t len = strlen(text);

	if (send(t->pair.client, text, len, MSG_NOSIGNAL) == len)
		return true;
	pd_trial__untested(t, "send() failed: %s", strerror(errno));
	return false;
}

ssize_t pd_trial__fill(struct pd_trial *t, ssize_t most)
{
	static char block[65536];
	ssize_t total = 0;

	while (total < most) {
		ssize_t n = send(t->pair.client, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			pd_trial__untested(t, "send() failed: %s", strerror(errno));
			return -1;
		}
		total += n;
	}
	return total;
}

bool pd_trial__arrived(struct pd_trial *t, size_t len)
{
	long end = pd_trial__now_ms() + PD_ARRIVE_MS;
	char buf[64];

	while (recv(t->pair.server, buf, len, MSG_PEEK | MSG_DONTWAIT) < (ssize_t)len) {
		if (pd_trial__now_ms() >= end) {
			pd_trial__untested(t, "%zu bytes did not arrive in %d ms", len,
					   PD_ARRIVE_MS);
			return false;
		}
		pd_trial__ready(t->pair.server, POLLIN, 1);
	}
	return true;
}

bool pd_trial__enrol_if_asked(struct pd_trial *t)
{
	int err = t->enrolled ? pd_scratch__enrol(&t->pair) : 0;

	if (err)
		pd_trial__untested(t, "can't enrol the pair: %s", strerror(-err));
	return !err;
}

bool pd_trial__set(struct pd_trial *t, int level, int option, int value, const char *name)
{
	if (!setsockopt(t->pair.server, level, option, &value, sizeof(value)))
		return true;
	pd_trial__untested(t, "this kernel has no %s on TCP: %s", name, strerror(errno));
	return false;
}

/* ---- recv() or send() in a thread ---- */

static void *call_once(void *arg)
{
	struct pd_call *c = arg;
	void *buf = c->buf ? c->buf : c->bytes;

	atomic_store(&c->tid, (int)syscall(SYS_gettid));
	c->got = c->sends ? send(c->fd, buf, c->len, c->flags) : recv(c->fd, buf, c->len, c->flags);
	c->error = errno;
	eventfd_write(c->done, 1);
	return NULL;
}

bool pd_call__start(struct pd_trial *t, struct pd_call *c)
{
	c->done = eventfd(0, EFD_CLOEXEC);
	if (c->done >= 0 && !pthread_create(&c->thread, NULL, call_once, c))
		return true;
	pd_trial__untested(t, "can't start a thread");
	return false;
}

static bool is_asleep(const struct pd_call *c)
{
	char path[64], text[32] = "";
	int tid = atomic_load(&c->tid);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = tid ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return atoi(text) == (c->sends ? SYS_sendto : SYS_recvfrom) && text[0] != 'r';
}

bool pd_call__wait_asleep(struct pd_trial *t, const struct pd_call *c)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	long end = pd_trial__now_ms() + PD_ARRIVE_MS;

	while (!is_asleep(c)) {
		if (pd_trial__now_ms() >= end) {
			pd_trial__untested(t, "a thread did not go to sleep in %d ms",
					   PD_ARRIVE_MS);
			return false;
		}
		nanosleep(&ms, NULL);
	}
	return true;
}

bool pd_call__recv(struct pd_trial *t, struct pd_call *c, size_t len, int flags)
{
	*c = (struct pd_call){ .fd = t->pair.server, .len = len, .flags = flags };
	return pd_call__start(t, c) && pd_call__wait_asleep(t, c);
}

bool pd_call__is_done(const struct pd_call *c, int ms)
{
	return pd_trial__ready(c->done, POLLIN, ms);
}
