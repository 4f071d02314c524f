// SPDX-License-Identifier: GPL-2.0-only
/* ring pages|huge RANKS BYTES ROUNDS
 *
 * Counts the instructions of a ring allreduce, all processes and the kernel, on a machine with
 * one CPU. RANKS processes, each in a network namespace of its own ("rank1", with the address
 * 10.10.0.1, and so on), have BYTES of floats each; at the end all have their sums. Each sends to
 * the next and receives from the one before over two plain TCP sockets that do not block, with
 * poll(). Prints one line:
 *
 *     RANKS BYTES BUFFERS SENT INSTRUCTIONS NS BY_TCP BY_CPU BY_DMA
 *
 * SENT is how many bytes all have sent in ROUNDS allreduces, NS the machine's time for it, and
 * the last three who moved them. All sums of one allreduce before them were verified.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn.h"
#include "paper.h"

#define MAX_RANKS 64
#define TIME_LIMIT 600 /* s of the machine's time */
#define SETTLE_US 20000
#define WARM 2

struct ring {
	unsigned int ranks, rank; /* the first is 0 */
	size_t elements;
	bool huge;
	int to, from;
	float *data, *received;
	int control[MAX_RANKS][2];
};

/* ---- the parts of the buffer ------------------------------------------------------ */

static size_t part_begin(const struct ring *ring, unsigned int part)
{
	return ring->elements * part / ring->ranks;
}

static size_t part_elements(const struct ring *ring, unsigned int part)
{
	return part_begin(ring, part + 1) - part_begin(ring, part);
}

/* Sums of these are exact. */
static float value(unsigned int rank, size_t i)
{
	return (float)((((uint32_t)i + rank * 7919) * 0x9e3779b1U) >> 20);
}

static void fill(struct ring *ring)
{
	for (size_t i = 0; i < ring->elements; i++)
		ring->data[i] = value(ring->rank, i);
}

static void check(const struct ring *ring)
{
	for (size_t i = 0; i < ring->elements; i++) {
		float sum = 0;

		for (unsigned int rank = 0; rank < ring->ranks; rank++)
			sum += value(rank, i);
		if (ring->data[i] != sum)
			fail("rank %u: element %zu is %f and should be %f", ring->rank, i,
			     (double)ring->data[i], (double)sum);
	}
}

/* Four at a time, as libraries do. */
typedef float four __attribute__((vector_size(16), aligned(4)));

static void add(float *to, const float *from, size_t elements)
{
	size_t i;

	for (i = 0; i + 4 <= elements; i += 4)
		*(four *)(to + i) += *(const four *)(from + i);
	for (; i < elements; i++)
		to[i] += from[i];
}

/* ---- one process ------------------------------------------------------------------ */

static size_t pass(ssize_t n, const char *what)
{
	if (n > 0)
		return (size_t)n;
	if (n < 0 && errno == EAGAIN)
		return 0;
	fail("%s: %s", what, n ? strerror(errno) : "the other end has closed");
}

/* Both at the same time. */
static void exchange(struct ring *ring, const float *out, size_t out_elements, float *in,
		     size_t in_elements)
{
	size_t out_left = out_elements * sizeof(float), in_left = in_elements * sizeof(float);
	const char *from = (const char *)out;
	char *to = (char *)in;

	while (out_left || in_left) {
		struct pollfd fds[] = { { .fd = in_left ? ring->from : -1, .events = POLLIN },
					{ .fd = out_left ? ring->to : -1, .events = POLLOUT } };
		size_t n;

		if (poll(fds, 2, -1) < 0)
			fail("poll: %s", strerror(errno));
		if (fds[0].revents) {
			n = pass(recv(ring->from, to, in_left, MSG_DONTWAIT), "recv");
			to += n;
			in_left -= n;
		}
		if (fds[1].revents) {
			n = pass(send(ring->to, from, out_left, MSG_DONTWAIT | MSG_NOSIGNAL),
				 "send");
			from += n;
			out_left -= n;
		}
	}
}

/* First each part's sum comes together somewhere, then all get it. */
static void allreduce(struct ring *ring)
{
	unsigned int ranks = ring->ranks;

	for (unsigned int step = 0; step < 2 * (ranks - 1); step++) {
		unsigned int out = (ring->rank + 2 * ranks - step) % ranks;
		unsigned int in = (out + ranks - 1) % ranks;
		float *own = ring->data + part_begin(ring, in);
		bool sums = step < ranks - 1;

		exchange(ring, ring->data + part_begin(ring, out), part_elements(ring, out),
			 sums ? ring->received : own, part_elements(ring, in));
		if (sums)
			add(own, ring->received, part_elements(ring, in));
	}
}

static void address_of(unsigned int rank, struct sockaddr_in *address)
{
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(6000) };
	address->sin_addr.s_addr = htonl(0x0a0a0001 + rank);
}

static void member(struct ring *ring)
{
	int listener, one = 1, control = ring->control[ring->rank][1];
	struct sockaddr_in address;
	char name[16];
	uint64_t rounds;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name, sizeof(name), "rank%u", ring->rank + 1);
	enter_netns(name);
	ring->data = buffer_map(ring->elements * sizeof(float), ring->huge);
	ring->received = buffer_map((ring->elements / ring->ranks + 1) * sizeof(float), ring->huge);
	address_of(ring->rank, &address);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		fail("can't listen: %s", strerror(errno));
	tell(control, 0);
	await(control);
	address_of((ring->rank + 1) % ring->ranks, &address);
	ring->to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(ring->to, (struct sockaddr *)&address, sizeof(address)))
		fail("can't connect: %s", strerror(errno));
	ring->from = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(ring->to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	tell(control, 0);
	fill(ring);
	while ((rounds = await(control))) {
		struct moved moved = { 0 };

		for (uint64_t i = 0; i < rounds; i++)
			allreduce(ring);
		moved_add_tcp(&moved, &ring->to, 1);
		tell(control, moved.tcp);
		if (rounds == 1)
			check(ring);
	}
	exit(0);
}

/* ---- who counts ------------------------------------------------------------------- */

static void tell_all(const struct ring *ring, uint64_t what)
{
	for (unsigned int i = 0; i < ring->ranks; i++)
		tell(ring->control[i][0], what);
}

static uint64_t await_all(const struct ring *ring)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < ring->ranks; i++)
		sum += await(ring->control[i][0]);
	return sum;
}

static uint64_t run(const struct ring *ring, uint64_t rounds)
{
	tell_all(ring, rounds);
	return await_all(ring);
}

static void start(struct ring *ring)
{
	for (unsigned int i = 0; i < ring->ranks; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ring->control[i]))
			fail("socketpair: %s", strerror(errno));
	for (ring->rank = 0; ring->rank < ring->ranks; ring->rank++)
		if (!fork())
			member(ring);
	for (unsigned int i = 0; i < ring->ranks; i++)
		close(ring->control[i][1]);
	await_all(ring);
	tell_all(ring, 0);
	await_all(ring);
}

int main(int argc, char **argv)
{
	uint64_t rounds, instructions, ns, tcp;
	struct moved before = { 0 }, after = { 0 };
	struct ring ring = { 0 };
	int counter;

	if (argc != 5)
		fail("usage: ring pages|huge RANKS BYTES ROUNDS");
	alarm(TIME_LIMIT);
	ring.huge = !strcmp(argv[1], "huge");
	ring.ranks = (unsigned int)strtoul(argv[2], NULL, 10);
	ring.elements = strtoul(argv[3], NULL, 10) / sizeof(float);
	rounds = strtoul(argv[4], NULL, 10);
	if (ring.ranks < 2 || ring.ranks > MAX_RANKS || ring.elements < ring.ranks || rounds < 2)
		fail("2 to %d ranks, 2 rounds or more", MAX_RANKS);
	counter = counter_open();
	if (counter < 0)
		fail("can't count instructions: %s", strerror(errno));
	start(&ring);
	run(&ring, 1);
	tcp = run(&ring, WARM);
	usleep(SETTLE_US);
	moved_add_module(&before);
	ns = now();
	instructions = counter_begin(counter);
	tcp = run(&ring, rounds) - tcp;
	ns = now() - ns;
	usleep(SETTLE_US);
	instructions = counter_end(counter) - instructions;
	moved_add_module(&after);
	tell_all(&ring, 0);
	reap(ring.ranks);
	printf("%u\t%zu\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", ring.ranks,
	       ring.elements * sizeof(float), argv[1],
	       (unsigned long long)(rounds * 2 * (ring.ranks - 1) * ring.elements * sizeof(float)),
	       (unsigned long long)instructions, (unsigned long long)ns, (unsigned long long)tcp,
	       (unsigned long long)(after.cpu - before.cpu),
	       (unsigned long long)(after.dma - before.dma));
	return 0;
}
