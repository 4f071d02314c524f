/* SPDX-License-Identifier: GPL-2.0-only */
/* How connected TCP sockets behave: what the cases are written with.
 *
 * A case is a function that asserts. It runs in a process of its own under a time
 * limit, once; or, if it takes the two ends of a connection, on a new connection
 * for each direction. Its name is a sentence that holds on plain TCP.
 *
 * cmocka's assertions may be used by the thread that runs the case. The functions
 * below, which check what they do, may be used by every thread and process.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

/* What the C library calls instead on newer architectures. */
#ifndef SYS_poll
#define SYS_poll SYS_ppoll
#endif
#ifndef SYS_pause
#define SYS_pause SYS_ppoll
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)

struct test {
	const char *name;
	void (*run)(void);
	void (*run_way)(int from, int to); /* from: the end that sends */
};

#define TEST(name)                \
	{                         \
#name, name, NULL \
	}
#define TEST_WAYS(name)           \
	{                         \
#name, NULL, name \
	}

/* Each ends with an entry without a name. */
extern const struct test read_tests[], write_tests[], peek_tests[], poll_tests[], epoll_tests[];
extern const struct test lowat_tests[], pressure_tests[], shutdown_tests[], close_tests[];
extern const struct test connect_tests[], splice_tests[], sendfile_tests[], oob_tests[];
extern const struct test zerocopy_tests[], ancillary_tests[], ioctl_tests[], options_tests[];
extern const struct test thread_tests[], process_tests[], signal_tests[], io_uring_tests[];
extern const struct test order_tests[], fault_tests[], memory_tests[], disconnect_tests[],
	release_tests[], death_tests[];

/* ---- verdict.c: the end of a case ------------------------------------------ */

/* The case has failed. In a thread or process of the case's own it ends that process. */
void give_up(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
#define require(condition)                                                       \
	do {                                                                     \
		if (!(condition))                                                \
			give_up(__FILE__, __LINE__, "not true: %s", #condition); \
	} while (0)

/* The case can't be run here. */
void skip_case(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The call returned @want; or failed with @error. Returns what the call returned. */
#define returns(want, call) check_returned(__FILE__, __LINE__, #call, want, (errno = 0, call))
#define fails(error, call) check_failed(__FILE__, __LINE__, #call, error, (errno = 0, call))
#define succeeds(call) check_succeeded(__FILE__, __LINE__, #call, (errno = 0, call))
long check_returned(const char *file, int line, const char *call, long want, long got);
void check_failed(const char *file, int line, const char *call, int want, long got);
long check_succeeded(const char *file, int line, const char *call, long got);

long now_ms(void);
void nap(void);
/* Wait until it is true. For states of the kernel that nothing else tells of. */
#define await(condition)                                                                       \
	do {                                                                                   \
		long await_end = now_ms() + await_ms;                                          \
		while (!(condition)) {                                                         \
			if (now_ms() > await_end)                                              \
				give_up(__FILE__, __LINE__, "not within %ld ms: %s", await_ms, \
					#condition);                                           \
			nap();                                                                 \
		}                                                                              \
	} while (0)
extern long await_ms; /* somewhat less than the time limit of a case */

/* Called by the runner, in the process of the case; returns its exit status, if it
 * returns. @skipped: where the reason is left if it was skipped, of WHY_SIZE.
 */
#define WHY_SIZE 256
int run_here(const struct test *test, char *skipped);

/* ---- pair.c: connections --------------------------------------------------- */

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_MAPPED };

/* Where the connections of this run are made. */
struct place {
	enum family family;
	const char *server_ns, *client_ns; /* NULL: this one */
	const char *address; /* the server's; NULL: the loopback's */
	unsigned int turn; /* FAMILY_MAPPED: which end is AF_INET6, in turns */
	/* Both ends of a pair have called poll() before anything is sent, as programs do
	 * that wait for more than one.
	 */
	bool poll_first;
};

extern struct place place;

enum { CLIENT, SERVER };

struct pair {
	int end[2];
};

struct pair connected(void);
/* Both buffers of both ends are small; SO_SNDBUF and SO_RCVBUF have this value. */
struct pair connected_small(int bytes);
void close_pair(const struct pair *pair);
/* Each has heard the other: from here on an engine takes the bytes of both. */
void warm_up(int a, int b);

/* The same by steps. */
int server_socket(void);
void bind_server(int fd); /* to the server's address and a port that is free */
void listen_on(int fd, int backlog); /* the same, and listen */
int listening(int backlog);
int client_of(int listener);
void connect_to(int fd, int listener);
int accept_from(int listener);
void disconnect(int fd);
/* The address of @listener for sockets of the family of @fd. */
socklen_t address_for(int fd, int listener, struct sockaddr_storage *addr);

void set_option(int fd, int level, int name, int value);
int get_option(int fd, int level, int name);
void set_nonblocking(int fd, bool on);

/* ---- bytes.c: what is sent and received ------------------------------------- */

/* A short text, whole. */
void say(int fd, const char *text);
void hear(int fd, const char *text);
void hear_end(int fd);

/* One direction of a connection. Its bytes are a function of the stream's name
 * and their place, so that each is checked.
 */
struct flow {
	int from, to;
	uint32_t stream;
	uint64_t sent, taken;
};

struct flow flow_of(const struct pair *pair, int side); /* from end[side] */
struct flow flow_between(int from, int to);
void fill(void *buf, size_t len, uint32_t stream, uint64_t offset);
/* The next @len bytes to be sent, in memory that stays; the caller sends them. */
void *flow_next(const struct flow *flow, size_t len);
/* All of @len, in calls of at most 64 KiB. */
void flow_put(struct flow *flow, size_t len);
void flow_take(struct flow *flow, size_t len);
void flow_end(struct flow *flow); /* the end of file, twice */
/* One call. A negative return leaves errno. */
ssize_t flow_send(struct flow *flow, size_t len, int flags);
ssize_t flow_recv(struct flow *flow, size_t len, int flags);
/* @buf has the next @len bytes of the flow. */
void flow_check(struct flow *flow, const void *buf, size_t len);
void flow_sent(struct flow *flow, size_t len);
/* Send without waiting until it can't, or until @most were sent; returns how much. */
size_t flow_fill(struct flow *flow, size_t most);
/* The same until there is no room left, and none comes unless somebody reads. */
void flow_fill_up(struct flow *flow);
/* Take all that was sent. */
void flow_drain(struct flow *flow);

/* More than any engine takes for a reader that does not read, which is the sum of
 * tcp_rmem and tcp_wmem as they are by default, and 4 MiB that were redirected.
 */
#define TOO_MUCH MIB(32)

unsigned int random_below(unsigned int *seed, unsigned int limit);

/* ---- buffer.c: large memory to send from and receive into ---------------------- */

/* Several segments of a copy by DMA, of 128 KiB. */
#define LARGE KIB(512)

/* LARGE bytes, whose pages are there: of the file @fd, shared, or nobody else's if that is negative. They
 * stay until the case's process ends.
 */
char *large_buffer(int fd);
/* A file of LARGE bytes in memory, to be closed by the caller. */
int buffer_file(void);
/* No page of this process is pinned: that is for as long as a copy takes, and by calls alone. */
void require_unpinned(void);

/* ---- state.c: what the kernel is doing --------------------------------------- */

bool has_bytes(int fd, size_t len); /* so many can be read */
bool has_events(int fd, short events); /* all of these */
short events_of(int fd, short events); /* what poll() says now */
int tcp_state(int fd);
unsigned int packets_in_flight(int fd);
int unacknowledged(int fd); /* SIOCOUTQ */
/* The thread or process sleeps inside the system call. */
bool sleeps_in(pid_t tid, long number);
unsigned long voluntary_switches(pid_t tid);

/* ---- release.c: connections that go back to TCP -------------------------------- */

extern const char *release_by; /* pdload; NULL: nothing is done, on plain TCP */
/* All that live now, on the way of `pdload flush`. */
void release_all(void);

/* ---- task.c: threads and processes of a case ---------------------------------- */

/* A thread. */
struct task {
	void (*run)(void *arg);
	void *arg;
	pthread_t thread;
	_Atomic pid_t tid;
	atomic_bool done;
};

void task_start(struct task *task, void (*run)(void *arg), void *arg);
void task_join(struct task *task);

/* One recv() or send() in a thread of its own, asleep in the kernel. */
struct call {
	struct task task;
	int fd, flags;
	void *buf;
	size_t len;
	ssize_t returned;
	int error; /* errno */
	long number; /* of the system call */
	unsigned long switches;
};

void recv_begin(struct call *call, int fd, size_t len, int flags);
void send_begin(struct call *call, int fd, const void *buf, size_t len, int flags);
/* Fill up the flow; the next @len bytes then wait for room. */
void send_begin_full(struct call *call, struct flow *flow, size_t len);
/* The same with a call that is filled in, and without waiting until it sleeps. */
void recv_late(struct call *call);
void send_late(struct call *call);
/* The call has returned, or was woken since this was last asked and sleeps again. */
bool call_stirred(struct call *call);
/* Wait until it has returned, or sleeps (again, if it was woken). */
void call_settles(struct call *call);
/* It has returned @want, or failed with @error. */
void call_returns(struct call *call, ssize_t want);
void call_fails(struct call *call, int error);
void call_join(struct call *call);

/* Threads that send or take @len bytes of a flow in pieces of random size. */
struct pump {
	struct task task;
	struct flow *flow;
	size_t len, most;
};

void pump_in(struct pump *pump, struct flow *flow, size_t len, size_t most);
void pump_out(struct pump *pump, struct flow *flow, size_t len, size_t most);
void pump_join(struct pump *pump);

/* A process that ends with status 0 when @run returns. */
pid_t process_start(void (*run)(void *arg), void *arg);
void process_join(pid_t pid);
void process_kill(pid_t pid);

/* Calls of this thread are interrupted by SIGUSR1 from now on. */
void catch_signals(int flags);
void interrupt(struct call *call);

#endif /* SOCKETS_H */
