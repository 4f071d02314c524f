// SPDX-License-Identifier: GPL-2.0-only
/* Programs that meet a moment at which enrolment, redirection or release could
 * go wrong. Both ends are in this process, on the loopback; every byte is
 * checked for its value, its place and its connection.
 *
 *     hazards CASE [NUMBER]
 *
 * Prints one JSON line per event on stdout, the last of them "done", and what
 * went wrong on stderr. Exit status 0 only if everything was right. A case that
 * waits to be told goes on at SIGUSR1.
 */
#include "hazards.h"

/* ---- the cases ------------------------------------------------------------ */

/* One end speaks first and closes; the other half-closes, and only then reads. */
static void half_closed(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		size_t size = 1 + i * 997 % 50000;
		struct pair pair = connect_pair();
		int speaker = pair.end[!(i & 1)], other = pair.end[i & 1];

		put(speaker, i, 0, size);
		close(speaker);
		wait_until(has_ended, other, "the end of the one that spoke");
		if (shutdown(other, SHUT_WR))
			fail("shutdown: %s", strerror(errno));
		wait_until(is_closed, other, "its answer to the half-close");
		take(other, i, 0, size);
		take_end(other, i, size);
		close(other);
	}
}

/* A socket is disconnected with bytes unread and lives again: as the client of
 * another server, or as a listener. @side is which end of the first life.
 */
static void live_again(unsigned int i, int side, bool listens)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	uint32_t first = 8 * i, second = first + 4;
	struct pair pair = connect_pair(), again;
	int fd = pair.end[side], old = pair.end[!side], listener = new_socket();

	greet(&pair, first);
	put(old, first + !side, 1, 1000 + i);
	put(old, first + !side, 1001 + i, 1);
	if (connect(fd, &nowhere, sizeof(nowhere)))
		fail("connect to AF_UNSPEC: %s", strerror(errno));
	wait_until(has_ended, old, "the reset by a disconnect");
	if (listens) {
		again.end[0] = listener;
		listen_on(fd, 8);
		connect_to(listener, fd);
		again.end[1] = accept_from(fd);
	} else {
		listen_on(listener, 8);
		connect_to(fd, listener);
		again.end[0] = fd;
		again.end[1] = accept_from(listener);
		close(listener);
	}
	/* The server speaks first, and then each what the other has never sent. */
	put(again.end[1], second + 1, 0, 500);
	take(again.end[0], second + 1, 0, 500);
	put(again.end[0], second, 0, 70000);
	take(again.end[1], second, 0, 70000);
	if (receive(old, second, 0, 1, MSG_DONTWAIT) > 0)
		fail("the first peer has received a byte of the second life");
	shutdown(again.end[1], SHUT_WR);
	take_end(again.end[0], second + 1, 500);
	close_pair(&again);
	if (listens)
		close(fd);
	close(old);
}

static void reconnected(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		live_again(i, i & 1, i & 2);
}

/* Readers are asleep in recv() before their connections are established, and
 * the server speaks first. The SYNs are lost at first: the queue is full.
 */
static void early_readers(unsigned int count)
{
	struct reader *readers = calloc(count, sizeof(*readers));
	int listener = listen_on(new_socket(), 0), full = new_socket(), *servers;

	servers = calloc(count, sizeof(*servers));
	connect_to(full, listener);
	for (unsigned int i = 0; i < count; i++) {
		struct reader *reader = &readers[i];

		*reader = (struct reader){
			.fd = new_socket(),
			.flags = i % 3 == 1 ? MSG_WAITALL : 0,
			.polls = i % 3 == 2,
			.len = 2000,
		};
		fcntl(reader->fd, F_SETFL, O_NONBLOCK);
		connect_to(reader->fd, listener);
		fcntl(reader->fd, F_SETFL, 0);
		reader->stream = ntohs(address(reader->fd, false).sin_port);
		reader->thread = start(read_all, reader);
		wait_until(reader_sleeps, (long)reader, "a reader asleep in recv()");
		if (tcp_state(reader->fd) != TCP_SYN_SENT)
			fail("a connection is established although there is no room for it");
	}
	if (listen(listener, count))
		fail("listen: %s", strerror(errno));
	close(accept_from(listener));
	for (unsigned int i = 0; i < count; i++)
		servers[i] = accept_from(listener);
	event("accepted", NULL);
	for (unsigned int i = 0; i < count; i++) {
		uint32_t stream = ntohs(address(servers[i], true).sin_port);

		put(servers[i], stream, 0, 700);
		put(servers[i], stream, 700, 1300);
	}
	for (unsigned int i = 0; i < count; i++) {
		wait_until(reader_is_done, (long)&readers[i], "what the server has sent");
		pthread_join(readers[i].thread, NULL);
		close(readers[i].fd);
		close(servers[i]);
	}
	free(readers);
	free(servers);
}

/* Bytes sent one at a time to a reader that reads only when told. */
static void stalled(unsigned int count)
{
	struct pair pair = connect_pair();
	struct reader reader = { .fd = pair.end[1], .stream = 2, .len = count };

	greet(&pair, 0);
	set_option(pair.end[0], IPPROTO_TCP, TCP_NODELAY, 1);
	for (unsigned int i = 0; i < count; i++)
		put(pair.end[0], 2, i, 1);
	event("stalled", ", \"port\": %u", ntohs(address(pair.end[1], true).sin_port));
	wait_told();
	read_all(&reader);
	close_pair(&pair);
}

/* ---- handshakes during flush ---------------------------------------------- */

struct shake {
	int client;
	uint32_t stream;
	unsigned int delay; /* us, before the client says its byte */
	bool deferred, blocks;
	uint64_t sent, received;
	pthread_t writer, reader;
	int listener;
};

#define SHAKES 8 /* at once */
#define STREAM_SECONDS 0.06

static struct shake shakes[SHAKES];
static uint64_t shake_messages;

/* Of a connection from @port. Both listeners may have one from the same port. */
static uint32_t shake_stream(in_port_t port, bool deferred)
{
	return ntohs(port) << 1 | deferred;
}

static void *shake_write(void *arg)
{
	const struct shake *any = arg;
	int fd = accept_from(any->listener);
	uint32_t stream = shake_stream(address(fd, true).sin_port, any->deferred);
	unsigned int seed = stream;
	struct shake *shake = shakes;
	double end;

	while (shake < shakes + SHAKES && shake->stream != stream)
		shake++;
	if (shake == shakes + SHAKES)
		fail("accepted from nobody");
	if (shake->deferred)
		take(fd, stream, 0, 1);
	for (end = now() + STREAM_SECONDS; now() < end;) {
		size_t len = 1 + rand_r(&seed) % 300;

		put(fd, stream, shake->sent, len);
		shake->sent += len;
		__atomic_add_fetch(&shake_messages, 1, __ATOMIC_RELAXED);
		if (rand_r(&seed) % 4 == 0)
			pause_us(20);
	}
	if (!shake->deferred)
		take(fd, stream, 0, 1);
	close(fd);
	return NULL;
}

static void *shake_read(void *arg)
{
	struct shake *shake = arg;
	struct pollfd poller = { .fd = shake->client, .events = POLLIN };
	ssize_t n;

	pause_us(shake->delay);
	put(shake->client, shake->stream, 0, 1);
	do {
		if (!shake->blocks)
			poll(&poller, 1, -1);
		n = receive(shake->client, shake->stream, shake->received, CHUNK,
			    shake->blocks ? 0 : MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			fail("stream %u: %s", shake->stream, strerror(errno));
		if (n > 0)
			shake->received += n;
	} while (n);
	return NULL;
}

/* Handshakes are completed at any moment, by the first data or as usual, and
 * both ends talk at once. Somebody else runs `pdload flush` all the time.
 */
static void handshakes(unsigned int seconds)
{
	double end = now() + seconds;
	unsigned int seed = 1, round;
	int listeners[2];

	for (int i = 0; i < 2; i++)
		listeners[i] = listen_on(new_socket(), SHAKES);
	set_option(listeners[0], IPPROTO_TCP, TCP_DEFER_ACCEPT, 10);
	for (round = 0; now() < end; round++) {
		for (int i = 0; i < SHAKES; i++) {
			struct shake *shake = &shakes[i];

			*shake = (struct shake){
				.client = new_socket(),
				.deferred = i % 4 != 3,
				.blocks = i & 1,
				.delay = rand_r(&seed) % 60000,
			};
			shake->listener = listeners[!shake->deferred];
			connect_to(shake->client, shake->listener);
			shake->stream = shake_stream(address(shake->client, false).sin_port,
						     shake->deferred);
		}
		for (int i = 0; i < SHAKES; i++) {
			shakes[i].reader = start(shake_read, &shakes[i]);
			shakes[i].writer = start(shake_write, &shakes[i]);
		}
		for (int i = 0; i < SHAKES; i++) {
			pthread_join(shakes[i].writer, NULL);
			pthread_join(shakes[i].reader, NULL);
		}
		for (int i = 0; i < SHAKES; i++) {
			struct shake *shake = &shakes[i];

			if (shake->sent != shake->received)
				fail("stream %u: %lu bytes sent, %lu received", shake->stream,
				     (unsigned long)shake->sent, (unsigned long)shake->received);
			close(shake->client);
		}
	}
	event("shaken", ", \"connections\": %u, \"messages\": %lu", round * SHAKES,
	      (unsigned long)shake_messages);
}

/* ---- to TCP and back, under a reader that waits for all -------------------- */

#define RECORD 4096UL
#define BURST (256UL << 10)

static struct pair swing;
static sem_t records;
static uint64_t swing_records;

static void *take_records(void *unused)
{
	struct reader reader = { .fd = swing.end[1], .stream = 0, .flags = MSG_WAITALL };

	for (;;) {
		reader.len = RECORD;
		read_all(&reader);
		sem_post(&records);
	}
	return NULL;
}

static void *drain_client(void *unused)
{
	struct reader reader = { .fd = swing.end[0], .stream = 1, .len = SIZE_MAX };

	return read_all(&reader);
}

static void *write_server(void *unused)
{
	for (uint64_t offset = 0;; offset += 512)
		put(swing.end[1], 1, offset, 512);
	return NULL;
}

static void await_records(unsigned int nr)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 3;
	for (; nr; nr--, swing_records++) {
		if (sem_timedwait(&records, &end))
			fail("the reader has %lu records, %u more are on their way for 3 s",
			     (unsigned long)swing_records, nr);
	}
}

/* Records and their answers, now and then a burst that goes over TCP for the
 * bound. The next record comes in two pieces: the reader may have slept on the
 * first, which came over TCP, when the second is to be sent. Meanwhile another
 * thread sends on the reader's socket, so that it is woken for buffer space.
 */
static void swinging(unsigned int seconds)
{
	double end = now() + seconds;
	unsigned int seed = 1;
	uint64_t offset = 0;

	swing = connect_pair();
	sem_init(&records, 0, 0);
	start(take_records, NULL);
	start(drain_client, NULL);
	start(write_server, NULL);
	while (now() < end) {
		size_t cut = 512 + 8 * (rand_r(&seed) % 300);

		if (rand_r(&seed) % 40 == 0) {
			for (size_t i = 0; i < BURST; i += 16384)
				put(swing.end[0], 0, offset + i, 16384);
			offset += BURST;
			await_records(BURST / RECORD);
		}
		put(swing.end[0], 0, offset, cut);
		if (rand_r(&seed) & 1)
			pause_us(20);
		put(swing.end[0], 0, offset + cut, RECORD - cut);
		offset += RECORD;
		await_records(1);
	}
	event("swung", ", \"records\": %lu", (unsigned long)swing_records);
}

/* ---- release with sleepers ------------------------------------------------- */

enum sleep_kind {
	SLEEP_NONE,
	SLEEP_RECV, /* both ends */
	SLEEP_TWICE, /* two readers of the server's socket */
	SLEEP_POLL, /* the client */
	SLEEP_LATE, /* bytes wait for the server, which begins to read after it was told */
	SLEEP_KINDS,
};

#define UNREAD 3000
#define AFTER 5000 /* bytes of each direction after the release */

struct sleeper {
	struct pair pair;
	enum sleep_kind kind;
	struct reader readers[2]; /* of the client, of the server; or both of the server */
};

static void fall_asleep(struct sleeper *sleeper, uint32_t stream)
{
	bool read[2] = { false, false };

	sleeper->pair = connect_pair();
	greet(&sleeper->pair, stream);
	for (int i = 0; i < 2; i++) {
		struct reader *reader = &sleeper->readers[i];

		/* Side 1 reads the stream of side 0. */
		reader->fd = sleeper->pair.end[i];
		reader->stream = stream + !i;
		reader->offset = 1;
		reader->len = AFTER;
	}
	switch (sleeper->kind) {
	case SLEEP_RECV:
		read[0] = read[1] = true;
		break;
	case SLEEP_TWICE:
		read[0] = read[1] = true;
		/* Either may come first. */
		sleeper->readers[1].len = 1;
		sleeper->readers[0] = sleeper->readers[1];
		break;
	case SLEEP_POLL:
		read[0] = sleeper->readers[0].polls = true;
		break;
	case SLEEP_LATE:
		put(sleeper->pair.end[0], stream, 1, UNREAD);
		sleeper->readers[1].len = UNREAD + AFTER;
		break;
	default:
		break;
	}
	for (int i = 0; i < 2; i++) {
		if (!read[i])
			continue;
		sleeper->readers[i].thread = start(read_all, &sleeper->readers[i]);
		wait_until(reader_sleeps, (long)&sleeper->readers[i], "a reader asleep");
	}
}

static void talk_after(struct sleeper *sleeper, uint32_t stream)
{
	struct reader *readers = sleeper->readers;

	if (sleeper->kind == SLEEP_TWICE) {
		for (int i = 0; i < 2; i++)
			put(sleeper->pair.end[0], stream, 1, 1);
	} else {
		put(sleeper->pair.end[0], stream, sleeper->kind == SLEEP_LATE ? 1 + UNREAD : 1,
		    AFTER);
		put(sleeper->pair.end[1], stream + 1, 1, AFTER);
	}
	for (int i = 0; i < 2; i++) {
		if (!readers[i].thread)
			read_all(&readers[i]);
		wait_until(reader_is_done, (long)&readers[i], "what was sent after the release");
	}
	for (int side = 0; side < 2; side++) {
		shutdown(sleeper->pair.end[!side], SHUT_WR);
		take_end(sleeper->pair.end[side], stream, 0);
	}
	close_pair(&sleeper->pair);
}

/* Told once as the release begins, and again when it is over. */
static void sleepers(unsigned int count)
{
	struct sleeper *all = calloc(count, sizeof(*all));

	for (unsigned int i = 0; i < count; i++) {
		all[i].kind = i % SLEEP_KINDS;
		fall_asleep(&all[i], 2 * i);
	}
	event("ready", NULL);
	wait_told();
	for (unsigned int i = 0, late = 0; i < count; i++) {
		struct reader *reader = &all[i].readers[1];

		if (all[i].kind != SLEEP_LATE)
			continue;
		reader->delay = 50000 + 100000 * (late++ % 6);
		reader->thread = start(read_all, reader);
	}
	wait_told();
	for (unsigned int i = 0; i < count; i++)
		talk_after(&all[i], 2 * i);
	free(all);
}

/* ---------------------------------------------------------------------------- */

static const struct hazard {
	const char *name;
	void (*run)(unsigned int number);
	unsigned int number; /* default */
	unsigned int limit; /* seconds */
} hazards[] = {
	{ "half-closed", half_closed, 40, 10 },	   { "reconnected", reconnected, 24, 10 },
	{ "early-readers", early_readers, 6, 10 }, { "stalled", stalled, 50000, 20 },
	{ "handshakes", handshakes, 5, 20 },	   { "swinging", swinging, 5, 20 },
	{ "sleepers", sleepers, 30, 30 },
};

int main(int argc, char **argv)
{
	const struct hazard *hazard = hazards;
	sigset_t set;

	while (hazard < hazards + ARRAY_SIZE(hazards) &&
	       (argc < 2 || strcmp(argv[1], hazard->name)))
		hazard++;
	if (hazard == hazards + ARRAY_SIZE(hazards) || argc > 3) {
		fprintf(stderr, "usage: hazards CASE [NUMBER]\n");
		return 2;
	}
	step = hazard->name;
	limit = hazard->limit;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start(watch_time, NULL);
	hazard->run(argc > 2 ? strtoul(argv[2], NULL, 10) : hazard->number);
	event("done", NULL);
	_exit(0);
}
