/* SPDX-License-Identifier: GPL-2.0-only */
/* What a connection is to do. The client draws the plan and tells the server
 * in the first bytes it sends; both ends then follow it.
 */
#ifndef TRAFFIC_PLAN_H
#define TRAFFIC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When the next payload byte of a direction may be sent. */
enum gate {
	GATE_OPEN, /* at once */
	GATE_AFTER, /* once the other direction has ended */
	GATE_MIRROR, /* as many bytes as were received */
	GATE_ROUND, /* a message, then wait until as many bytes came back */
};

/* How one end leaves when all is sent. */
enum end {
	END_FIN, /* shutdown(SHUT_WR), read to the end of file, close */
	END_KEEP, /* leave the connection open, read to the end of file, close */
	END_CLOSE, /* close at once, reading nothing more */
	END_UNREAD, /* close as soon as there is something unread */
	END_RST, /* SO_LINGER 0 and close somewhere on the way */
};

struct scenario {
	const char *name;
	enum gate gates[2]; /* client, server */
	enum end ends[2];
	bool none[2]; /* sends no payload */
	bool mute[2]; /* sends nothing at all, not even the mark of the end */
	bool endless[2]; /* until told (client), until the client ends (server) */
	bool abort; /* the other end may see any prefix, then the end or a reset */
	bool threads; /* can be done with blocking calls in two threads */
};

extern const struct scenario scenarios[];
extern const size_t nr_scenarios;
/* Index of the scenario called @name, or -1. */
int plan_find(const char *name);

/* First bytes of the client. */
#define PLAN_MAGIC 0x706475726e616d65ULL
#define PLAN_HELD 1 /* the client may pause for as long as it likes */

struct plan {
	uint64_t magic;
	uint64_t id; /* of the connection */
	uint64_t nonce; /* from the server's greeting, or 0 */
	uint64_t size; /* payload bytes of the server */
	uint32_t seed;
	uint32_t tenant;
	uint16_t port; /* the client's own, 0 if it will be translated */
	uint8_t scenario;
	uint8_t flags;
	uint32_t pad;
	uint64_t check; /* hash of all above */
};

/* First bytes of a server that speaks first (--greet). */
struct greeting {
	uint64_t magic;
	uint64_t nonce;
	uint32_t tenant;
	uint32_t pad;
	uint64_t check;
};

/* Hash over the words of @data before the last one, which holds it. */
uint64_t plan_check(const void *data, size_t len);

/* A generator per connection, so that a run can be repeated by its seed. */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *rng);

struct range {
	uint64_t min;
	uint64_t max;
};

/* A number in @range; small ones as likely as large ones of each power of two. */
uint64_t rng_size(struct rng *rng, const struct range *range);

#endif /* TRAFFIC_PLAN_H */
