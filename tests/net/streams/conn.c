// SPDX-License-Identifier: GPL-2.0-only
/* The bytes of a direction are: prefix (the plan, or the greeting), payload,
 * and a mark of 16 bytes, which are those of the pattern at that offset with
 * every bit flipped. So a receiver knows the payload's end without having
 * been told its size, and a byte too few or too many shows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "side.h"

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

struct totals totals;

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void address_text(int fd, bool peer, char *text, size_t size)
{
	struct sockaddr_in6 addr = {};
	socklen_t len = sizeof(addr);
	char host[INET6_ADDRSTRLEN] = "?";
	int err = peer ? getpeername(fd, (void *)&addr, &len) :
			 getsockname(fd, (void *)&addr, &len);

	if (err)
		addr.sin6_port = 0;
	else if (addr.sin6_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&addr)->sin_addr, host, sizeof(host));
	else
		inet_ntop(AF_INET6, &addr.sin6_addr, host, sizeof(host));
	snprintf(text, size, "%s.%u", host, ntohs(addr.sin6_port));
}

static uint16_t own_port(int fd)
{
	struct sockaddr_in6 addr = {};
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (void *)&addr, &len))
		return 0;
	return ntohs(addr.sin6_port);
}

/* Both ends print it: which of them failed first? */
static void wall_clock(char *text, size_t size)
{
	struct timespec ts;
	struct tm tm;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	len = strftime(text, size, "%T", gmtime_r(&ts.tv_sec, &tm));
	snprintf(text + len, size - len, ".%06ld", ts.tv_nsec / 1000);
}

void conn_print(const struct conn *conn, const char *why)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	char now[32], local[80], remote[80];
	int unread = -1, unsent = -1;

	wall_clock(now, sizeof(now));
	address_text(conn->fd, false, local, sizeof(local));
	address_text(conn->fd, true, remote, sizeof(remote));
	ioctl(conn->fd, SIOCINQ, &unread);
	ioctl(conn->fd, SIOCOUTQ, &unsent);
	getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	fprintf(stderr,
		"%s %s: tenant %u connection %lu %s %s -> %s (%s): sent %lu (decided %d, done %d, gone %d), "
		"received %lu (prefix %zu, mark %u, eof %d), idle %.1f s, SIOCINQ %d, SIOCOUTQ %d, "
		"tcp state %u, unacked %u, snd_wnd %u, rcv_space %u, notsent %u, bytes_acked %llu, "
		"bytes_received %llu, retransmits %u\n",
		now, why, opt.tenant, (unsigned long)conn->id, opt.server ? "server" : "client",
		local, remote, conn->scenario ? conn->scenario->name : "no plan yet",
		(unsigned long)conn->tx_pos, conn->tx_decided, conn->tx_done, conn->tx_gone,
		(unsigned long)conn->rx_pos, conn->rx_prefix, conn->rx_mark, conn->rx_eof,
		(now_ns() - conn->moved) / 1e9, unread, unsent, info.tcpi_state, info.tcpi_unacked,
		info.tcpi_snd_wnd, info.tcpi_rcv_space, info.tcpi_notsent_bytes,
		info.tcpi_bytes_acked, info.tcpi_bytes_received, info.tcpi_total_retrans);
}

void conn_fail(const struct conn *conn, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conn_print(conn, text);
	finish(false);
}

void conn_set_keys(struct conn *conn)
{
	conn->tx_key = pattern_key(conn->plan.seed, opt.tenant, conn->plan.id, conn->side);
	conn->rx_key = pattern_key(conn->plan.seed, opt.tenant, conn->plan.id, !conn->side);
}

void conn_plan(struct conn *conn, uint64_t id)
{
	conn->id = id;
	conn->rng.state = pattern_mix(opt.seed) + id;
	conn->rx_rng.state = ~conn->rng.state;
	conn->scenario = &scenarios[opt.mix[rng_next(&conn->rng) % opt.nr_mix]];
	conn->plan = (struct plan){
		.magic = PLAN_MAGIC,
		.id = id,
		.size = rng_size(&conn->rng, &opt.size),
		.seed = opt.seed,
		.tenant = opt.tenant,
		.scenario = conn->scenario - scenarios,
		.flags = opt.hold || conn->scenario->endless[0] ? PLAN_HELD : 0,
	};
	conn->tx_size = rng_size(&conn->rng, &opt.size);
	conn->cut = rng_next(&conn->rng) % (conn->tx_size + 1);
	conn->rounds = opt.rounds;
	conn->rx_ready = !opt.greet;
	conn_set_keys(conn);
	conn->moved = now_ns();
	totals.started++;
}

void conn_accepted(struct conn *conn, uint64_t id, const struct sockaddr_in6 *peer)
{
	conn->peer_port = ntohs(peer->sin6_port);
	conn->side = 1;
	conn->id = id;
	conn->rng.state = pattern_mix(opt.seed + 1) + id;
	conn->rx_rng.state = ~conn->rng.state;
	if (opt.greet) {
		conn->greeting = (struct greeting){ .magic = PLAN_MAGIC,
						    .nonce = rng_next(&conn->rng) | 1,
						    .tenant = opt.tenant };
		conn->greeting.check = plan_check(&conn->greeting, sizeof(conn->greeting));
	}
	conn->moved = now_ns();
	totals.started++;
	conn_connected(conn);
}

/* The kernel's TLS with keys that both ends know; the records then carry the pattern. Where it
 * is refused, the pattern goes without, as with a TLS library's own records.
 */
static void start_tls(struct conn *conn)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = { TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128 },
	};

	if (setsockopt(conn->fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))) {
		if (errno == ENOENT)
			_exit(EXIT_NO_TLS);
		if (errno == EPERM)
			return;
		conn_fail(conn, "can't set TCP_ULP tls: %s", strerror(errno));
	}
	memset(keys.iv, 1 + conn->side, sizeof(keys.iv));
	if (setsockopt(conn->fd, SOL_TLS, TLS_TX, &keys, sizeof(keys)))
		conn_fail(conn, "can't set TLS_TX: %s", strerror(errno));
	memset(keys.iv, 2 - conn->side, sizeof(keys.iv));
	if (setsockopt(conn->fd, SOL_TLS, TLS_RX, &keys, sizeof(keys)))
		conn_fail(conn, "can't set TLS_RX: %s", strerror(errno));
	totals.tls++;
}

void conn_connected(struct conn *conn)
{
	if (opt.tls)
		start_tls(conn);
	if (conn->side == 0) {
		conn->plan.port = opt.nat ? 0 : own_port(conn->fd);
		conn->plan.check = plan_check(&conn->plan, sizeof(conn->plan));
	}
}

enum step conn_broken_off(struct conn *conn, const char *call)
{
	int err = errno;
	bool known = err == ECONNRESET || err == EPIPE || (err == ETIMEDOUT && opt.tolerate);

	/* A client's reset may overtake its plan: counted as aborted. */
	if (!known || !(opt.tolerate || !conn->scenario || conn->scenario->abort))
		conn_fail(conn, "%s: %s", call, strerror(err));
	totals.resets++;
	conn->tx_gone = true;
	return STEP_GONE;
}

bool conn_finished(const struct conn *conn)
{
	if (conn->connecting)
		return false;
	if (!conn->scenario)
		return conn->rx_eof;
	if (resets(conn) && conn->tx_pos >= tx_prefix_len(conn) + conn->cut && conn->rx_ready)
		return true;
	if (conn->tx_done && conn->scenario->ends[conn->side] == END_CLOSE)
		return true;
	if (conn_leaves_unread(conn) && conn->tx_done && conn->side == 1)
		return true;
	return conn->rx_eof && (conn->tx_done || conn->tx_gone || conn->scenario->mute[conn->side]);
}

void conn_close(struct conn *conn)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	bool sent = false, received = false;

	if (conn->scenario) {
		sent = conn->tx_done || conn->scenario->mute[conn->side];
		received = rx_ended(conn) || conn->scenario->mute[!conn->side];
	}
	if (resets(conn))
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(conn->fd);
	if (sent && received)
		totals.completed++;
	else
		totals.aborted++;
}

bool conn_may_rest(const struct conn *conn)
{
	if (opt.stall && !released)
		return true;
	if (conn->side == 1)
		return conn->scenario && (conn->plan.flags & PLAN_HELD) && !released;
	return (conn->plan.flags & PLAN_HELD) && !released &&
	       (conn->parked || conn->scenario->endless[0]);
}
