/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of netbench share.
 *
 * One run at a time. For each connection the server first sends a greeting
 * and the client then a hello that says what the run is; thus both ends of a
 * connection are known to the kernel before either sends payload. With one
 * connection both sides use blocking calls, with more of them one thread with
 * epoll on each side.
 *
 * rr: the client sends a request of --size bytes, the server sends the same
 * bytes back; one is in flight on each connection. stream: the server writes
 * --size bytes at a time, the client reads and counts what arrived, so bytes
 * that merely sit in a queue are not speed.
 */
#ifndef NETBENCH_H
#define NETBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NB_MAGIC 0x31686e6562647070ULL
#define NB_MIN_SIZE 16U
#define NB_MAX_SIZE (64U << 20)
#define NB_MIN_READ (64U << 10) /* space that a stream reader offers, at least */
#define NB_MAX_CONNECTIONS 20000U
#define NB_HELLO_SECONDS 5 /* for the other side to say its first word */
#define NB_DRAIN_SECONDS 30 /* after which a run that has not ended is a hang */

enum nb_test { NB_RR = 1, NB_STREAM = 2 };

struct nb_greeting {
	uint64_t magic;
	int32_t pid;
	int32_t cpu; /* the server is pinned to, or CPU_NONE */
};

struct nb_hello {
	uint64_t magic;
	uint32_t test; /* enum nb_test */
	uint32_t size;
	uint32_t connections;
	uint32_t index;
};

struct nb_options {
	bool server;
	bool json;
	enum nb_test test;
	int family; /* AF_UNIX, or AF_INET for either family of TCP */
	const char *address;
	uint16_t port;
	uint32_t size;
	uint32_t connections;
	double seconds;
	double warmup;
	uint64_t count; /* 0: by time alone */
	int cpu;
};

struct nb_conn {
	int fd; /* -1: closed */
	uint32_t index;
	uint32_t done; /* bytes of the message under way */
	bool sending;
	bool waiting; /* for room to send */
	bool ending; /* stream writer: the reader has asked for the end */
	bool last; /* stream writer: the message under way is the last */
	uint64_t messages; /* complete ones */
	uint64_t started; /* rr client: when the request under way began */
	uint64_t offset; /* stream reader: bytes read */
	char tail[8]; /* stream reader: the last bytes read */
	char *buf; /* rr server: the request under way */
};

/* The run under way; nr is 0 between runs. */
struct nb_run {
	struct nb_hello hello;
	struct nb_conn *conns;
	uint32_t nr;
	uint32_t open;
	char *buf; /* message to send, or space to read into */
	uint32_t buf_size;
	int epoll; /* -1: blocking calls */
};

extern struct nb_options nb_opt;
extern struct nb_run nb_run;

int nb_server__main(void);
int nb_client__main(void);

/* ---- run.c ---- */

/* One sentence on stderr and exit code 1. */
void nb_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

socklen_t nb_address(struct sockaddr_storage *ss);
const char *nb_address__text(void);
void nb_socket__timeout(int fd, int seconds);
bool nb_socket__send(int fd, const void *data, size_t size);
bool nb_socket__recv(int fd, void *data, size_t size);

void nb_run__start(const struct nb_hello *hello);
void nb_run__add(int fd, uint32_t index);
/* Call @step for each connection that epoll reports, or for the only one,
 * until @done says so (NULL: never) or none is open.
 */
void nb_run__loop(void (*step)(struct nb_conn *c, uint32_t events), bool (*done)(void));
void nb_run__end(void);

void nb_conn__watch(struct nb_conn *c, uint32_t events);
/* Look for room to send, or else for data. */
void nb_conn__wait(struct nb_conn *c, bool room);
/* Send the rest of the message under way from @buf. 1: all of it is sent; 0:
 * no room now; -1: the other side has gone.
 */
int nb_conn__push(struct nb_conn *c, const char *buf);
void nb_conn__close(struct nb_conn *c);

/* ---- payload.c ---- */

void nb_payload__stamp_stream(const struct nb_conn *c, char *buf, uint32_t size);
bool nb_payload__check_stream(struct nb_conn *c, const char *buf, size_t n, uint32_t size);
bool nb_payload__complete(const struct nb_conn *c);
void nb_payload__stamp_request(const struct nb_conn *c, char *buf, uint32_t size);
bool nb_payload__check_response(const struct nb_conn *c, const char *buf, size_t n, uint32_t size);

#endif /* NETBENCH_H */
