/* SPDX-License-Identifier: GPL-2.0-only */
/* How things are written: names, addresses, sizes, times, tables. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const char *name_of(const char *const *names, size_t nr, __u32 value)
{
	return value < nr && names[value] ? names[value] : "unknown";
}

const char *pd_name__reason(__u32 reason)
{
	static const char *const names[PD_REASON_MAX] = {
		[PD_REASON_NONE] = "none",	   [PD_REASON_RULE] = "rule",
		[PD_REASON_DEFAULT] = "default",   [PD_REASON_OFF_HOST] = "off_host",
		[PD_REASON_BUSY] = "busy",	   [PD_REASON_ULP] = "ulp",
		[PD_REASON_MPTCP] = "mptcp",	   [PD_REASON_FASTOPEN] = "fastopen",
		[PD_REASON_MAP_FULL] = "map_full", [PD_REASON_NO_MEMORY] = "no_memory",
		[PD_REASON_REFUSED] = "refused",   [PD_REASON_RELEASED] = "released",
		[PD_REASON_RACED] = "raced",	   [PD_REASON_OVERFLOW] = "overflow",
	};

	return name_of(names, ARRAY_SIZE(names), reason);
}

bool pd_reason__of_direction(__u32 reason)
{
	return reason >= PD_REASON_RACED && reason < PD_REASON_MAX;
}

const char *pd_name__state(__u32 state)
{
	static const char *const names[] = {
		[PD_STATE_CANDIDATE] = "candidate", [PD_STATE_PAIRED] = "paired",
		[PD_STATE_DECLINED] = "declined",   [PD_STATE_RELEASED] = "released",
		[PD_STATE_CLOSED] = "closed",
	};

	return name_of(names, ARRAY_SIZE(names), state);
}

const char *pd_name__path(__u32 path)
{
	static const char *const names[] = {
		[PD_PATH_NONE] = "none",
		[PD_PATH_REDIRECTED] = "redirected",
		[PD_PATH_TCP] = "tcp",
	};

	return name_of(names, ARRAY_SIZE(names), path);
}

const char *pd_name__engine(__u32 engine)
{
	static const char *const names[PD_ENGINE_MAX] = {
		[PD_ENGINE_TCP] = "tcp",
		[PD_ENGINE_SOCKMAP] = "sockmap",
		[PD_ENGINE_CPU] = "cpu",
		[PD_ENGINE_DMA] = "dma",
	};

	return name_of(names, ARRAY_SIZE(names), engine);
}

const char *pd_name__action(__u32 action)
{
	static const char *const names[] = {
		[PD_ACTION_BYPASS] = "bypass",
		[PD_ACTION_ACCELERATE] = "accelerate",
	};

	return name_of(names, ARRAY_SIZE(names), action);
}

const char *pd_name__role(__u32 role)
{
	static const char *const names[] = {
		[PD_ROLE_ACTIVE] = "active",
		[PD_ROLE_PASSIVE] = "passive",
	};

	return name_of(names, ARRAY_SIZE(names), role);
}

const char *pd_name__event(__u32 type)
{
	static const char *const names[] = {
		[PD_EVENT_OPEN] = "open",
		[PD_EVENT_ACCELERATE] = "accelerate",
		[PD_EVENT_DECLINE] = "decline",
		[PD_EVENT_CLOSE] = "close",
	};

	return name_of(names, ARRAY_SIZE(names), type);
}

const char *pd_name__tcp_state(__u32 state)
{
	/* The names that ss(8) uses. */
	static const char *const names[] = {
		[TCP_ESTABLISHED] = "estab",	[TCP_SYN_SENT] = "syn-sent",
		[TCP_SYN_RECV] = "syn-recv",	[TCP_FIN_WAIT1] = "fin-wait-1",
		[TCP_FIN_WAIT2] = "fin-wait-2", [TCP_TIME_WAIT] = "time-wait",
		[TCP_CLOSE] = "unconn",		[TCP_CLOSE_WAIT] = "close-wait",
		[TCP_LAST_ACK] = "last-ack",	[TCP_LISTEN] = "listen",
		[TCP_CLOSING] = "closing",
	};

	return name_of(names, ARRAY_SIZE(names), state);
}

static bool is_mapped(const struct pd_addr *addr)
{
	return !addr->ip[0] && !addr->ip[1] && addr->ip[2] == htonl(0xffff);
}

char *pd_format__ip(char buf[PD_ADDR_TEXT], const struct pd_addr *addr)
{
	if (is_mapped(addr))
		inet_ntop(AF_INET, &addr->ip[3], buf, PD_ADDR_TEXT);
	else
		inet_ntop(AF_INET6, addr->ip, buf, PD_ADDR_TEXT);
	return buf;
}

char *pd_format__addr(char buf[PD_ADDR_TEXT], const struct pd_addr *addr)
{
	char ip[PD_ADDR_TEXT];

	snprintf(buf, PD_ADDR_TEXT, is_mapped(addr) ? "%.45s:%u" : "[%.45s]:%u",
		 pd_format__ip(ip, addr), addr->port);
	return buf;
}

char *pd_format__bytes(char buf[PD_BYTES_TEXT], __u64 bytes)
{
	static const char units[] = "KMGTPE";
	__u64 unit = 1024;
	__u64 tenths;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(buf, PD_BYTES_TEXT, "%u", (unsigned int)bytes);
		return buf;
	}
	while (units[i + 1] && bytes / 1024 >= unit) {
		unit *= 1024;
		i++;
	}
	/* Rounded down: what is shown has really been sent. */
	tenths = bytes / unit * 10 + bytes % unit / (unit / 1024) * 10 / 1024;
	if (tenths >= 100 || !(tenths % 10))
		snprintf(buf, PD_BYTES_TEXT, "%u%c", (unsigned int)(tenths / 10), units[i]);
	else
		snprintf(buf, PD_BYTES_TEXT, "%u.%u%c", (unsigned int)(tenths / 10),
			 (unsigned int)(tenths % 10), units[i]);
	return buf;
}

char *pd_format__age(char buf[PD_AGE_TEXT], __u64 seconds)
{
	uint64_t s = seconds;

	if (s < 60)
		snprintf(buf, PD_AGE_TEXT, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(buf, PD_AGE_TEXT, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, PD_AGE_TEXT, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, PD_AGE_TEXT, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

static __u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

__u64 pd_time__now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static struct timespec wall_time(__u64 monotonic)
{
	__u64 ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) + monotonic;

	return (struct timespec){
		.tv_sec = ns / 1000000000ULL,
		.tv_nsec = ns % 1000000000ULL,
	};
}

char *pd_format__time(char buf[PD_TIME_TEXT], __u64 monotonic)
{
	struct timespec ts = wall_time(monotonic);
	struct tm tm;
	size_t len;

	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(buf, PD_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, PD_TIME_TEXT - len, ".%06ldZ", ts.tv_nsec / 1000);
	return buf;
}

char *pd_format__clock(char buf[PD_TIME_TEXT], __u64 monotonic)
{
	struct timespec ts = wall_time(monotonic);
	struct tm tm;
	size_t len;

	localtime_r(&ts.tv_sec, &tm);
	len = strftime(buf, PD_TIME_TEXT, "%H:%M:%S", &tm);
	snprintf(buf + len, PD_TIME_TEXT - len, ".%06ld", ts.tv_nsec / 1000);
	return buf;
}
