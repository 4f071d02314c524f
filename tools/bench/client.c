// SPDX-License-Identifier: GPL-2.0-only
/* netbench client: opens the connections of a run, measures inside a window
 * after the warm-up, lets every message end, and prints what it saw.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "netbench.h"

#define SUB_BUCKETS 128 /* in each power of two: within 0.8 % */
#define BUCKETS (58 * SUB_BUCKETS)
#define CONNECT_TRIES 300
#define CONNECT_WAIT 10000000L /* ns between them, while no server listens */

static struct meter {
	int server_cpu;
	clockid_t server_clock;
	bool has_server_clock;
	bool on, over;
	uint64_t begin; /* ns: of the window */
	uint64_t end;
	uint64_t operations; /* in the window */
	uint64_t bytes; /* payload that arrived in the window, in both directions */
	uint64_t client_ns; /* CPU time in the window */
	uint64_t server_ns;
	struct cpu_mark from, to;
	uint64_t all_bytes; /* of whole connections, what went before the payload included */
	uint64_t tcp_bytes; /* what of these TCP itself carried */
	uint64_t histogram[BUCKETS];
} meter;

/* ---- latency ------------------------------------------------------------ */

static void record(uint64_t ns)
{
	unsigned int shift = 0;

	if (ns >= SUB_BUCKETS)
		shift = 63 - (unsigned int)__builtin_clzll(ns) - 7;
	/* The top bit of ns >> shift is the bucket boundary itself. */
	meter.histogram[shift * SUB_BUCKETS + (ns >> shift)]++;
}

/* In microseconds; the middle of its bucket. */
static double quantile(double q)
{
	uint64_t seen = 0, want = (uint64_t)((double)meter.operations * q);
	unsigned int i, shift;

	for (i = 0; i < BUCKETS; i++) {
		seen += meter.histogram[i];
		if (seen > want)
			break;
	}
	shift = i < 2 * SUB_BUCKETS ? 0 : i / SUB_BUCKETS - 1;
	return ((double)((uint64_t)(i - shift * SUB_BUCKETS) << shift) +
		(double)(1ULL << shift) / 2) /
	       1e3;
}

/* ---- the window --------------------------------------------------------- */

static void mark(struct cpu_mark *at, int sign)
{
	uint64_t mine, theirs = 0;

	if (nb_opt.cpu != CPU_NONE && meter.server_cpu != CPU_NONE &&
	    cpu_mark(at, nb_opt.cpu, meter.server_cpu) < 0)
		nb_fail("can't read the times of CPUs %d and %d from /proc/stat", nb_opt.cpu,
			meter.server_cpu);
	mine = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (meter.has_server_clock)
		theirs = clock_ns(meter.server_clock);
	meter.client_ns += sign > 0 ? mine : -mine;
	meter.server_ns += sign > 0 ? theirs : -theirs;
}

/* Opens and closes the window; returns whether it is open now. */
static bool in_window(uint64_t now)
{
	if (meter.over)
		return false;
	if (!meter.on && now >= meter.begin) {
		mark(&meter.from, -1);
		meter.on = true;
		meter.begin = clock_ns(CLOCK_MONOTONIC);
		meter.end = meter.begin + (uint64_t)(nb_opt.seconds * 1e9);
		return false;
	}
	if (meter.on && (now >= meter.end || (nb_opt.count && meter.operations >= nb_opt.count))) {
		meter.end = now;
		mark(&meter.to, 1);
		meter.over = true;
		return false;
	}
	return meter.on;
}

static bool window_over(void)
{
	return meter.over;
}

/* ---- what a connection does --------------------------------------------- */

/* Bytes that the kernel's TCP carried, as it counts them itself. */
static void count_connection(const struct nb_conn *c, uint64_t bytes)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	uint64_t tcp;

	meter.all_bytes += bytes;
	if (nb_opt.family == AF_UNIX)
		return;
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		nb_fail("can't ask TCP what it carried: %s", strerror(errno));
	tcp = info.tcpi_bytes_received + info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	/* A FIN takes one number of the byte sequence. */
	meter.tcp_bytes += tcp < bytes ? tcp : bytes;
}

static uint64_t preamble_bytes(void)
{
	return sizeof(struct nb_greeting) + sizeof(struct nb_hello);
}

static void push_request(struct nb_conn *c)
{
	int sent;

	nb_payload__stamp_request(c, nb_run.buf, nb_run.hello.size);
	sent = nb_conn__push(c, nb_run.buf);
	if (sent < 0)
		nb_fail("the server closed connection %u during a request", c->index);
	if (sent) {
		c->sending = false;
		c->done = 0;
	}
	nb_conn__wait(c, !sent);
}

static void begin_request(struct nb_conn *c)
{
	c->sending = true;
	c->done = 0;
	c->started = clock_ns(CLOCK_MONOTONIC);
	push_request(c);
}

static void request(struct nb_conn *c, uint32_t events)
{
	uint32_t size = nb_run.hello.size;
	uint64_t now;
	ssize_t n;

	if (c->sending) {
		push_request(c);
		return;
	}
	n = recv(c->fd, nb_run.buf, size - c->done, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		nb_fail("connection %u ended %u bytes into a response of %u bytes: %s", c->index,
			c->done, size, n ? strerror(errno) : "end of file");
	if (!nb_payload__check_response(c, nb_run.buf, (size_t)n, size))
		nb_fail("connection %u: response %llu carries wrong bytes", c->index,
			(unsigned long long)c->messages);
	c->done += (uint32_t)n;
	if (c->done < size)
		return;
	c->messages++;
	now = clock_ns(CLOCK_MONOTONIC);
	if (in_window(now)) {
		record(now - c->started);
		meter.operations++;
		meter.bytes += 2ULL * size;
	}
	if (!meter.over) {
		begin_request(c);
		return;
	}
	count_connection(c, preamble_bytes() + 2 * c->messages * size);
	nb_conn__close(c);
}

static void read_stream(struct nb_conn *c, uint32_t events)
{
	ssize_t n = recv(c->fd, nb_run.buf, nb_run.buf_size, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		nb_fail("connection %u failed after %llu bytes: %s", c->index,
			(unsigned long long)c->offset, strerror(errno));
	if (!n) {
		if (!meter.over || !nb_payload__complete(c))
			nb_fail("connection %u ended too early, after %llu bytes", c->index,
				(unsigned long long)c->offset);
		count_connection(c, preamble_bytes() + c->offset);
		nb_conn__close(c);
		return;
	}
	if (!nb_payload__check_stream(c, nb_run.buf, (size_t)n, nb_run.hello.size))
		nb_fail("connection %u carries wrong bytes after %llu right ones", c->index,
			(unsigned long long)c->offset);
	if (in_window(clock_ns(CLOCK_MONOTONIC))) {
		meter.operations++;
		meter.bytes += (uint64_t)n;
	}
}

/* ---- the run ------------------------------------------------------------ */

static int connect_server(void)
{
	struct timespec wait = { .tv_nsec = CONNECT_WAIT };
	struct sockaddr_storage ss;
	socklen_t len = nb_address(&ss);
	int fd, tries;

	for (tries = 0;; tries++) {
		fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			nb_fail("can't make a socket: %s", strerror(errno));
		if (connect(fd, (struct sockaddr *)&ss, len) == 0)
			return fd;
		if ((errno != ECONNREFUSED && errno != ENOENT) || tries == CONNECT_TRIES)
			nb_fail("can't connect to %s: %s", nb_address__text(), strerror(errno));
		close(fd);
		nanosleep(&wait, NULL);
	}
}

static void open_connections(void)
{
	struct nb_greeting greeting = { .cpu = CPU_NONE };
	struct nb_hello hello = {
		.magic = NB_MAGIC,
		.test = nb_opt.test,
		.size = nb_opt.size,
		.connections = nb_opt.connections,
	};
	int fd;

	nb_run__start(&hello);
	for (; hello.index < hello.connections; hello.index++) {
		fd = connect_server();
		nb_socket__timeout(fd, NB_HELLO_SECONDS);
		if (!nb_socket__recv(fd, &greeting, sizeof(greeting)) ||
		    greeting.magic != NB_MAGIC || !nb_socket__send(fd, &hello, sizeof(hello)))
			nb_fail("no netbench server answers on %s, or it is busy",
				nb_address__text());
		nb_run__add(fd, hello.index);
	}
	meter.server_cpu = greeting.cpu;
	meter.has_server_clock = clock_getcpuclockid(greeting.pid, &meter.server_clock) == 0;
}

/* A number or null, for JSON. */
static void print_number(const char *name, bool known, double value)
{
	if (known)
		printf("\"%s\":%.9g,", name, value);
	else
		printf("\"%s\":null,", name);
}

static void print_result(void)
{
	bool rr = nb_opt.test == NB_RR;
	bool busy_known = nb_opt.cpu != CPU_NONE && meter.server_cpu != CPU_NONE;
	double seconds = (double)(meter.end - meter.begin) / 1e9;
	double gb = (double)meter.bytes / 1e9;
	double rate = rr ? (double)meter.operations / seconds : gb * 1e3 / seconds;
	double busy = busy_known ? cpu_busy(&meter.from, &meter.to, nb_opt.cpu, meter.server_cpu) :
				   0;
	double client = (double)meter.client_ns / 1e9, server = (double)meter.server_ns / 1e9;
	double share = meter.all_bytes ? (double)meter.tcp_bytes / (double)meter.all_bytes : 0;

	if (!meter.operations)
		nb_fail("nothing arrived in %.2f s", seconds);
	if (nb_opt.json) {
		printf("{\"test\":\"%s\",\"size\":%u,\"connections\":%u,\"seconds\":%.6f,",
		       rr ? "rr" : "stream", nb_opt.size, nb_opt.connections, seconds);
		print_number("rate", true, rate);
		printf("\"unit\":\"%s\",", rr ? "requests/s" : "MB/s");
		print_number("latency_p50_us", rr, quantile(0.50));
		print_number("latency_p99_us", rr, quantile(0.99));
		print_number("client_cpu_s", true, client);
		print_number("server_cpu_s", meter.has_server_clock, server);
		print_number("busy_cpu_s", busy_known, busy);
		print_number("stolen_s", busy_known, meter.to.steal - meter.from.steal);
		print_number("cpu_per_gb", busy_known, busy / gb);
		printf("\"payload_bytes\":%llu,\"all_bytes\":%llu,\"tcp_bytes\":%llu,",
		       (unsigned long long)meter.bytes, (unsigned long long)meter.all_bytes,
		       (unsigned long long)meter.tcp_bytes);
		printf("\"client_cpu\":%d,\"server_cpu\":%d}\n", nb_opt.cpu, meter.server_cpu);
		return;
	}
	printf("%s of %u bytes, %u connection%s, %.2f s: %.6g %s", rr ? "rr" : "stream",
	       nb_opt.size, nb_opt.connections, nb_opt.connections == 1 ? "" : "s", seconds, rate,
	       rr ? "requests/s" : "MB/s");
	if (rr)
		printf(", p50 %.1f us, p99 %.1f us", quantile(0.50), quantile(0.99));
	printf("\nCPU: client %.3f s", client);
	if (meter.has_server_clock)
		printf(", server %.3f s", server);
	if (busy_known)
		printf(", CPUs %d and %d busy %.3f s (stolen %.3f s): %.3f s/GB", nb_opt.cpu,
		       meter.server_cpu, busy, meter.to.steal - meter.from.steal, busy / gb);
	if (nb_opt.family != AF_UNIX)
		printf("\ncarried by TCP itself: %.1f %%", share * 100);
	putchar('\n');
}

int nb_client__main(void)
{
	uint32_t i;

	alarm((unsigned int)(nb_opt.warmup + nb_opt.seconds) + NB_DRAIN_SECONDS);
	open_connections();
	meter.begin = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(nb_opt.warmup * 1e9);
	if (nb_opt.test == NB_RR) {
		for (i = 0; i < nb_run.nr; i++)
			begin_request(&nb_run.conns[i]);
		nb_run__loop(request, NULL);
	} else {
		nb_run__loop(read_stream, window_over);
		for (i = 0; i < nb_run.nr; i++)
			if (nb_run.conns[i].fd >= 0)
				shutdown(nb_run.conns[i].fd, SHUT_WR);
		nb_run__loop(read_stream, NULL);
	}
	nb_run__end();
	print_result();
	return 0;
}
