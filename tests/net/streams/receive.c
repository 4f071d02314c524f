// SPDX-License-Identifier: GPL-2.0-only
/* What a connection receives, each byte of it checked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "side.h"

static void print_bytes(const char *what, const unsigned char *bytes, size_t len)
{
	fprintf(stderr, "%s", what);
	for (size_t i = 0; i < len; i++)
		fprintf(stderr, "%02x%s", bytes[i], i + 1 < len ? " " : "\n");
}

/* Says where else the bytes that came belong, as far as that can be told. */
static void wrong_byte(struct conn *conn, const unsigned char *got, size_t len, uint64_t offset)
{
	unsigned char want[32];
	int64_t found;

	pattern_fill(conn->rx_key, offset, want, sizeof(want));
	if (len > sizeof(want))
		len = sizeof(want);
	print_bytes("expected ", want, sizeof(want));
	print_bytes("got      ", got, len);
	if (len >= 16) {
		found = pattern_find(conn->rx_key, offset, got);
		if (found >= 0)
			fprintf(stderr, "these bytes belong to offset %ld of the same direction\n",
				(long)found);
		found = pattern_find(conn->tx_key, conn->tx_pos, got);
		if (found >= 0)
			fprintf(stderr, "these bytes belong to offset %ld of the other direction\n",
				(long)found);
		for (uint64_t i = 1; i < 64; i++)
			for (int d = 0; d < 2; d++) {
				uint64_t id = i & 1 ? conn->plan.id + i / 2 + 1 :
						      conn->plan.id - i / 2;

				found = pattern_find(pattern_key(conn->plan.seed, opt.tenant, id,
								 d),
						     offset, got);
				if (found >= 0)
					fprintf(stderr,
						"these bytes belong to offset %ld of connection %ld, direction %d\n",
						(long)found, (long)id, d);
			}
	}
	conn_fail(conn, "wrong byte at offset %lu of what the %s receives", (unsigned long)offset,
		  opt.server ? "server" : "client");
}

static void accept_plan(struct conn *conn)
{
	const struct plan *plan = &conn->plan;

	if (plan->magic != PLAN_MAGIC || plan->check != plan_check(plan, sizeof(*plan)) ||
	    plan->scenario >= nr_scenarios) {
		print_bytes("got ", (const unsigned char *)plan, sizeof(*plan));
		conn_fail(conn, "the first bytes are not a plan");
	}
	if (plan->tenant != opt.tenant)
		conn_fail(conn, "the first bytes are of tenant %u", plan->tenant);
	if (plan->port && plan->port != conn->peer_port)
		conn_fail(conn, "the first bytes are of the client at port %u", plan->port);
	if (plan->nonce != conn->greeting.nonce)
		conn_fail(conn, "the first bytes answer the greeting of another connection");
	conn->tx_size = plan->size;
	conn->cut = rng_next(&conn->rx_rng) % (plan->size + 1);
	conn_set_keys(conn);
	conn->scenario = &scenarios[plan->scenario];
}

static void accept_greeting(struct conn *conn)
{
	const struct greeting *greeting = &conn->greeting;

	if (greeting->magic != PLAN_MAGIC ||
	    greeting->check != plan_check(greeting, sizeof(*greeting))) {
		print_bytes("got ", (const unsigned char *)greeting, sizeof(*greeting));
		conn_fail(conn, "the first bytes are not a greeting");
	}
	if (greeting->tenant != opt.tenant)
		conn_fail(conn, "the greeting is of tenant %u", greeting->tenant);
	conn->plan.nonce = greeting->nonce;
	conn->plan.check = plan_check(&conn->plan, sizeof(conn->plan));
}

static size_t take_prefix(struct conn *conn, const unsigned char *buf, size_t len)
{
	char *prefix = conn->side ? (char *)&conn->plan : (char *)&conn->greeting;
	size_t left = rx_prefix_len(conn) - conn->rx_prefix;

	if (!left)
		return 0;
	if (len > left)
		len = left;
	memcpy(prefix + conn->rx_prefix, buf, len);
	conn->rx_prefix += len;
	if (len == left) {
		if (conn->side)
			accept_plan(conn);
		else
			accept_greeting(conn);
		conn->rx_ready = true;
	}
	return len;
}

static void check_bytes(struct conn *conn, const unsigned char *buf, size_t len)
{
	size_t good, left;
	uint64_t offset;

	if (!conn->rx_mark) {
		good = pattern_check(conn->rx_key, conn->rx_pos, buf, len);
		conn->rx_pos += good;
		buf += good;
		len -= good;
	}
	/* Whatever is not the pattern is the mark of the end, or wrong. */
	offset = conn->rx_pos + conn->rx_mark;
	for (left = len; left; left--, buf++, offset++) {
		unsigned char want;

		pattern_fill(conn->rx_key, offset, &want, 1);
		if (rx_ended(conn) || *buf != (unsigned char)~want)
			wrong_byte(conn, buf, left, offset);
		conn->rx_mark++;
	}
}

bool conn_wants_receive(const struct conn *conn)
{
	if (conn->rx_eof || conn->connecting || (opt.stall && !released))
		return false;
	if (!conn->scenario)
		return true;
	if (conn_leaves_unread(conn) && conn->rx_ready)
		return false;
	/* What closes at once does not wait for the other end to do so. */
	return !(conn->scenario->ends[conn->side] == END_CLOSE && rx_ended(conn));
}

bool conn_leaves_unread(const struct conn *conn)
{
	return conn->scenario && conn->scenario->ends[conn->side] == END_UNREAD;
}

static void end_of_file(struct conn *conn)
{
	bool whole = rx_ended(conn) || (conn->scenario && conn->scenario->mute[!conn->side]);

	conn->rx_eof = true;
	conn->moved = now_ns();
	if (whole)
		return;
	if (!(opt.tolerate || (conn->scenario && conn->scenario->abort)))
		conn_fail(conn, "end of file before the end of what the other end sends");
	totals.early_ends++;
	conn->tx_gone = true;
}

enum step conn_receive(struct conn *conn, unsigned char *buf)
{
	size_t len = rng_size(&conn->rx_rng, &opt.read), taken;
	size_t left = rx_prefix_len(conn) - conn->rx_prefix;
	ssize_t n;

	/* Half of the servers read the plan alone, so that the payload stays unread. */
	if (left && conn->id % 2)
		len = left;
	if (len > CONN_BUFFER)
		len = CONN_BUFFER;
	n = recv(conn->fd, buf, len, 0);
	if (n < 0) {
		if (errno == EAGAIN && opt.io == IO_BLOCK && opt.spurious) {
			totals.spurious++;
			return STEP_IDLE;
		}
		if (errno == EAGAIN && opt.io != IO_BLOCK)
			return STEP_BLOCKED;
		conn_broken_off(conn, "recv");
		conn->rx_eof = true;
		return STEP_GONE;
	}
	if ((size_t)n > len)
		conn_fail(conn, "recv() of %zu bytes returned %zd", len, n);
	if (n == 0) {
		end_of_file(conn);
		return STEP_MOVED;
	}
	totals.received += n;
	taken = take_prefix(conn, buf, n);
	check_bytes(conn, buf + taken, n - taken);
	conn->moved = now_ns();
	return STEP_MOVED;
}
