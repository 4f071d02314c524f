// SPDX-License-Identifier: GPL-2.0-only
/* What a connection sends: see conn.c for the layout. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "side.h"

#define FIRST_CAP (64UL << 10)

static uint64_t tx_payload(const struct conn *conn)
{
	size_t prefix = tx_prefix_len(conn);

	return conn->tx_pos > prefix ? conn->tx_pos - prefix : 0;
}

/* Settle the payload's size as soon as it can be: from then on it is final. */
static void decide(struct conn *conn)
{
	const struct scenario *scenario = conn->scenario;
	enum gate gate = scenario->gates[conn->side];
	bool ended = conn->side == 0 ? released : rx_ended(conn);
	uint64_t sent = tx_payload(conn);

	if (conn->tx_decided)
		return;
	if (gate == GATE_ROUND) {
		if (conn->rx_pos < conn->tx_target || sent < conn->tx_target)
			return;
		conn->parked = opt.hold && conn->tx_target && !released;
		if (conn->parked)
			return;
		if (opt.rounds ? conn->rounds : !released) {
			conn->rounds -= !!opt.rounds;
			conn->tx_target += rng_size(&conn->rng, &opt.size);
			return;
		}
		conn->tx_size = sent;
	} else if (gate == GATE_MIRROR) {
		if (!rx_ended(conn))
			return;
		conn->tx_size = conn->rx_pos;
	} else if (scenario->endless[conn->side]) {
		if (!ended)
			return;
		conn->tx_size = scenario->none[conn->side] ? 0 : sent;
	} else if (scenario->none[conn->side]) {
		conn->tx_size = 0;
	}
	conn->tx_decided = true;
}

/* Raw position up to which bytes may be sent now. */
static uint64_t tx_limit(struct conn *conn)
{
	size_t prefix = tx_prefix_len(conn);
	uint64_t payload;

	if (conn->side == 1 && !conn->scenario)
		return prefix;
	if (!conn->rx_ready)
		return 0;
	decide(conn);
	if (conn->scenario->mute[conn->side])
		return 0;
	if (resets(conn))
		return prefix + conn->cut;
	switch (conn->scenario->gates[conn->side]) {
	case GATE_AFTER:
		if (!rx_ended(conn))
			return prefix;
		break;
	case GATE_MIRROR:
		if (!conn->tx_decided)
			return prefix + conn->rx_pos;
		break;
	case GATE_ROUND:
		if (!conn->tx_decided)
			return prefix + conn->tx_target;
		break;
	case GATE_OPEN:
		break;
	}
	if (conn->tx_decided)
		return prefix + conn->tx_size + PATTERN_END;
	payload = conn->scenario->none[conn->side] ? 0 : UINT64_MAX / 2;
	return prefix + payload;
}

static bool tx_complete(const struct conn *conn)
{
	if (conn->scenario && conn->scenario->mute[conn->side])
		return true;
	return conn->tx_decided &&
	       conn->tx_pos == tx_prefix_len(conn) + conn->tx_size + PATTERN_END;
}

/* Make the payload wrong from offset cut on, in the way that was asked for. */
static void spoil(const struct conn *conn, uint64_t pos, unsigned char *buf, size_t len)
{
	size_t skip = conn->cut > pos ? conn->cut - pos : 0;
	uint64_t at = pos + skip;
	uint64_t stranger = pattern_key(conn->plan.seed, opt.tenant, conn->plan.id + 1, conn->side);

	buf += skip;
	len -= skip;
	if (opt.fault == FAULT_FLIP && pos <= conn->cut)
		*buf ^= 1;
	else if (opt.fault == FAULT_LOSE)
		pattern_fill(conn->tx_key, at + 5, buf, len);
	else if (opt.fault == FAULT_REPEAT)
		pattern_fill(conn->tx_key, at > 5 ? at - 5 : at + 1, buf, len);
	else if (opt.fault == FAULT_STRANGER)
		pattern_fill(stranger, at, buf, len);
}

/* Write the bytes that belong at the current position. */
static void compose(const struct conn *conn, unsigned char *buf, size_t len)
{
	const char *prefix = conn->side ? (const char *)&conn->greeting : (const char *)&conn->plan;
	size_t prefix_len = tx_prefix_len(conn), n;
	uint64_t pos = conn->tx_pos, end;

	if (pos < prefix_len) {
		n = prefix_len - pos < len ? prefix_len - pos : len;
		memcpy(buf, prefix + pos, n);
		buf += n;
		len -= n;
		pos += n;
	}
	if (!len)
		return;
	pos -= prefix_len;
	pattern_fill(conn->tx_key, pos, buf, len);
	if (opt.fault && pos + len > conn->cut)
		spoil(conn, pos, buf, len);
	end = conn->tx_decided ? conn->tx_size : UINT64_MAX;
	for (size_t i = pos + len > end ? (end > pos ? end - pos : 0) : len; i < len; i++)
		buf[i] = ~buf[i];
}

bool conn_wants_send(struct conn *conn)
{
	if (conn->tx_done || conn->tx_gone || conn->connecting)
		return false;
	return tx_limit(conn) > conn->tx_pos || tx_complete(conn);
}

/* All is sent. A socket that was shut down must refuse more, as TCP does. */
static void end_sending(struct conn *conn)
{
	conn->tx_done = true;
	if (conn->scenario->ends[conn->side] != END_FIN)
		return;
	if (shutdown(conn->fd, SHUT_WR)) {
		if (errno == ENOTCONN && (conn->scenario->abort || opt.tolerate))
			return;
		conn_fail(conn, "shutdown: %s", strerror(errno));
	}
	/* The kernel's TLS takes it, and sends it never. */
	if (opt.tls)
		return;
	if (send(conn->fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		conn_fail(conn, "send() after shutdown(SHUT_WR) succeeded");
	if (errno != EPIPE && errno != ECONNRESET)
		conn_fail(conn, "send() after shutdown(SHUT_WR): %s; expected EPIPE",
			  strerror(errno));
}

static ssize_t send_some(struct conn *conn, unsigned char *buf, size_t len)
{
	struct iovec iov[3] = { { buf, len / 3 },
				{ buf + len / 3, len / 3 },
				{ buf + len / 3 * 2, len - len / 3 * 2 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 3 };

	if (rng_next(&conn->rng) % 8 == 0)
		return sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
	return send(conn->fd, buf, len, MSG_NOSIGNAL);
}

enum step conn_send(struct conn *conn, unsigned char *buf)
{
	uint64_t limit = tx_limit(conn), len = limit - conn->tx_pos;
	ssize_t n;

	if (opt.fault == FAULT_SHORT && conn->tx_decided && len == 1)
		conn->tx_pos++;
	else if (opt.fault == FAULT_SHORT && conn->tx_decided)
		len--;
	if (tx_complete(conn)) {
		end_sending(conn);
		return STEP_MOVED;
	}
	if (limit <= conn->tx_pos)
		return STEP_IDLE;
	if (!conn->tx_message) {
		conn->tx_message = rng_size(&conn->rng, &opt.write);
		conn->tx_cap = CONN_BUFFER;
	}
	if (len > conn->tx_message)
		len = conn->tx_message;
	if (len > conn->tx_cap)
		len = conn->tx_cap;
	compose(conn, buf, len);
	n = send_some(conn, buf, len);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINPROGRESS)
			return STEP_BLOCKED;
		return conn_broken_off(conn, "send");
	}
	if (n == 0 || (uint64_t)n > len)
		conn_fail(conn, "send() of %lu bytes returned %zd", (unsigned long)len, n);
	if ((uint64_t)n < len)
		conn->tx_cap = (uint64_t)n * 2 > FIRST_CAP ? (uint64_t)n * 2 : FIRST_CAP;
	conn->tx_pos += n;
	conn->tx_message -= n;
	conn->moved = now_ns();
	totals.sent += n;
	return STEP_MOVED;
}
