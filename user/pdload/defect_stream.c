/* SPDX-License-Identifier: GPL-2.0-only */
/* The self-test that compares: a stream of small messages, in messages a second. */
#include "defect_tests.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define STREAM_MESSAGES 4096
#define STREAM_SIZE 1024

static void *read_stream(void *arg)
{
	static char buf[65536];
	size_t left = STREAM_MESSAGES * STREAM_SIZE;
	int fd = *(int *)arg;

	while (left) {
		ssize_t n = recv(fd, buf, sizeof(buf) < left ? sizeof(buf) : left, 0);

		if (n <= 0)
			return "the reader failed";
		left -= n;
	}
	return NULL;
}

void pd_test_small_stream(struct pd_trial *t)
{
	static const char message[STREAM_SIZE];
	double seconds, best = 0;
	struct timespec a, b;
	int round, i;

	for (round = 0; round < 3; round++) {
		pthread_t thread;
		void *failed;

		if (pthread_create(&thread, NULL, read_stream, &t->pair.server)) {
			pd_trial__untested(t, "can't start a thread");
			return;
		}
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (i = 0; i < STREAM_MESSAGES; i++) {
			if (send(t->pair.client, message, STREAM_SIZE, MSG_NOSIGNAL) !=
			    STREAM_SIZE) {
				pd_trial__untested(t, "send() failed: %s", strerror(errno));
				return;
			}
		}
		pthread_join(thread, &failed);
		clock_gettime(CLOCK_MONOTONIC, &b);
		if (failed) {
			pd_trial__untested(t, "%s", (const char *)failed);
			return;
		}
		seconds = b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9;
		if (seconds > 0 && STREAM_MESSAGES / seconds > best)
			best = STREAM_MESSAGES / seconds;
	}
	pd_trial__as_tcp(t);
	t->figure = best;
}
