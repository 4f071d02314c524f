/* SPDX-License-Identifier: GPL-2.0-only */
/* What sending and receiving know of each other; for their files alone. */
#ifndef TRAFFIC_SIDE_H
#define TRAFFIC_SIDE_H

#include "conn.h"

/* Bytes before the payload. */
static inline size_t tx_prefix_len(const struct conn *conn)
{
	if (conn->side == 0)
		return sizeof(conn->plan);
	return opt.greet ? sizeof(conn->greeting) : 0;
}

static inline size_t rx_prefix_len(const struct conn *conn)
{
	if (conn->side == 1)
		return sizeof(conn->plan);
	return opt.greet ? sizeof(conn->greeting) : 0;
}

/* The mark of the end has come. */
static inline bool rx_ended(const struct conn *conn)
{
	return conn->rx_mark == PATTERN_END;
}

/* This end is to reset the connection. */
static inline bool resets(const struct conn *conn)
{
	return conn->scenario && conn->scenario->ends[conn->side] == END_RST;
}

/* The keys follow from the plan. */
void conn_set_keys(struct conn *conn);

/* @call failed for what errno says, which must be that the other end has broken off. */
enum step conn_broken_off(struct conn *conn, const char *call);

#endif /* TRAFFIC_SIDE_H */
