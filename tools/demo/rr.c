/* SPDX-License-Identifier: GPL-2.0-only */
/* A request/response probe, one connection:
 *
 *     rr server PORT
 *     rr client ADDRESS PORT BYTES SECONDS
 *
 * The server sends back what it reads. The client sends BYTES, reads them
 * back, compares and starts again, then prints
 * "exchanges=N rate=PER_SECOND p50_us=X p99_us=Y".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <error.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES (1U << 16) /* more could fill the buffers of both directions */
#define MAX_SAMPLES (1U << 22)
#define STALLED_SECONDS 10 /* an exchange that takes longer has hung */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int new_socket(void)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		error(1, errno, "cannot make a TCP socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			error(1, errno, "cannot send");
		data += n;
		len -= n;
	}
}

static void recv_all(int fd, char *data, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			error(1, 0, "no answer in %d s, %zu bytes short", STALLED_SECONDS, len);
		if (n <= 0)
			error(1, n ? errno : 0, "the server closed the connection");
		data += n;
		len -= n;
	}
}

static void echo(int fd)
{
	static char data[MAX_BYTES];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		send_all(fd, data, n);
}

static int serve(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	int listener = new_socket();

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 16))
		error(1, errno, "cannot listen on port %d", port);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			error(1, errno, "cannot accept");
		if (!fork()) {
			echo(fd);
			_exit(0);
		}
		close(fd);
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int probe(const char *host, int port, size_t len, double seconds)
{
	static char out[MAX_BYTES], in[MAX_BYTES];
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { .tv_sec = STALLED_SECONDS };
	uint32_t *samples = malloc(MAX_SAMPLES * sizeof(*samples));
	uint64_t start, end, before, after;
	int fd = new_socket();
	size_t nr = 0;

	if (!samples)
		error(1, ENOMEM, "cannot keep samples");
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		error(2, 0, "'%s' is not an IPv4 address", host);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		error(1, errno, "cannot connect to %s port %d", host, port);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));

	for (size_t i = 0; i < len; i++)
		out[i] = i * 2654435761U >> 24;
	start = after = now_ns();
	end = start + seconds * 1e9;
	while (after < end && nr < MAX_SAMPLES) {
		memcpy(out, &nr, len < sizeof(nr) ? len : sizeof(nr));
		before = now_ns();
		send_all(fd, out, len);
		recv_all(fd, in, len);
		after = now_ns();
		if (memcmp(in, out, len))
			error(1, 0, "exchange %zu came back changed", nr);
		samples[nr++] = after - before < UINT32_MAX ? after - before : UINT32_MAX;
	}
	qsort(samples, nr, sizeof(*samples), compare);
	printf("exchanges=%zu rate=%.0f p50_us=%.1f p99_us=%.1f\n", nr,
	       nr / ((after - start) / 1e9), samples[nr / 2] / 1e3, samples[nr * 99 / 100] / 1e3);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "server"))
		return serve(atoi(argv[2]));
	if (argc == 6 && !strcmp(argv[1], "client") && atoi(argv[4]) > 0 &&
	    (size_t)atoi(argv[4]) <= MAX_BYTES && atof(argv[5]) > 0)
		return probe(argv[2], atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
	fprintf(stderr, "usage: rr server PORT | rr client ADDRESS PORT BYTES SECONDS\n");
	return 2;
}
