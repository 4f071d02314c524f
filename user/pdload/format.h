/* SPDX-License-Identifier: GPL-2.0-only */
/* How things are written: names, addresses, sizes, times, tables. */
#ifndef PD_FORMAT_H
#define PD_FORMAT_H

#include <time.h>

#include "pdload.h"

#define PD_ADDR_TEXT 64 /* "[address]:port", NUL included */
#define PD_BYTES_TEXT 16
#define PD_AGE_TEXT 24
#define PD_TIME_TEXT 40

/* One word each, the same in text and in JSON; "unknown" for what this pdload
 * has no word for.
 */
const char *pd_name__reason(__u32 reason);
const char *pd_name__state(__u32 state);
const char *pd_name__path(__u32 path);
const char *pd_name__engine(__u32 engine);
const char *pd_name__action(__u32 action);
const char *pd_name__role(__u32 role);
const char *pd_name__event(__u32 type);
const char *pd_name__tcp_state(__u32 state);

/* True if @reason is one of a direction, not of a whole connection. */
bool pd_reason__of_direction(__u32 reason);

/* Each writes to @buf and returns it. */

/* The address alone; IPv4-mapped ones as IPv4. */
char *pd_format__ip(char buf[PD_ADDR_TEXT], const struct pd_addr *addr);
/* "10.0.0.1:80", "[fd00::1]:80" */
char *pd_format__addr(char buf[PD_ADDR_TEXT], const struct pd_addr *addr);
/* "0", "512", "1.5K", "64K", "2.3G": binary units, as --bound takes them */
char *pd_format__bytes(char buf[PD_BYTES_TEXT], __u64 bytes);
/* "12s", "3m05s", "4h00m", "2d07h" */
char *pd_format__age(char buf[PD_AGE_TEXT], __u64 seconds);
/* "2026-01-31T12:00:00.123456Z" from a CLOCK_MONOTONIC time in ns */
char *pd_format__time(char buf[PD_TIME_TEXT], __u64 monotonic);
/* The same as local time of day: "12:00:00.123456" */
char *pd_format__clock(char buf[PD_TIME_TEXT], __u64 monotonic);

/* Now, as the programs read it: CLOCK_MONOTONIC in ns. */
__u64 pd_time__now(void);

/* A table of text: columns are as wide as their widest cell. */
struct pd_table;

/* @columns: headings separated by '|'; those that start with '>' are aligned
 * to the right.
 */
struct pd_table *pd_table__new(const char *columns);
/* The next cell, left to right, row by row. Bytes that a terminal would obey
 * are written as '?'; an empty cell as "-".
 */
void pd_table__cell(struct pd_table *table, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Each line indented by @indent; no blank at the end of a line. */
void pd_table__print(const struct pd_table *table, FILE *out, int indent);
void pd_table__free(struct pd_table *table);

#endif /* PD_FORMAT_H */
