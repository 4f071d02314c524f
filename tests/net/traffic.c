// SPDX-License-Identifier: GPL-2.0-only
/* Traffic whose every byte is checked for its value, its place and its owner.
 *
 *     traffic server --listen 10.0.0.2:7000
 *     traffic client --connect 10.0.0.2:7000 --connections 64 --mix duplex,rr
 *
 * Prints one JSON line per event on stdout, the last of them the summary, and
 * what went wrong on stderr. Exit status 0 only if every stream was right.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "streams/run.h"

struct options opt = {
	.connections = 1,
	.size = { 1, 256 << 10 },
	.write = { 1, CONN_BUFFER },
	.read = { 1, CONN_BUFFER },
	.rounds = 10,
	.seed = 1,
	.stall_limit = 15,
	.time_limit = 120,
	.settle = 1000,
};

atomic_bool released;
bool stopping;

static uint64_t started;

void event(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("{\"event\": \"%s\", ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("}\n");
	fflush(stdout);
}

void finish(bool ok)
{
	static atomic_flag finishing = ATOMIC_FLAG_INIT;

	/* Of threads that fail at once the first ends the process. */
	while (atomic_flag_test_and_set(&finishing))
		pause();
	event("done",
	      "\"ok\": %s, \"role\": \"%s\", \"seed\": %u, \"started\": %lu, \"completed\": %lu, "
	      "\"aborted\": %lu, \"resets\": %lu, \"early_ends\": %lu, \"refused\": %lu, "
	      "\"sent\": %lu, \"received\": %lu, \"spurious\": %lu, \"tls\": %lu, \"seconds\": %.3f",
	      ok ? "true" : "false", opt.server ? "server" : "client", opt.seed,
	      (unsigned long)totals.started, (unsigned long)totals.completed,
	      (unsigned long)totals.aborted, (unsigned long)totals.resets,
	      (unsigned long)totals.early_ends, (unsigned long)totals.refused,
	      (unsigned long)totals.sent, (unsigned long)totals.received,
	      (unsigned long)totals.spurious, (unsigned long)totals.tls,
	      (now_ns() - started) / 1e9);
	_exit(ok ? 0 : 1);
}

int take_signal(int signals)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return 0;
	if (info.ssi_signo == SIGALRM) {
		fprintf(stderr, "not done within %u s\n", opt.time_limit);
		/* The state comes first; the next alarm ends the process. */
		signal(SIGALRM, SIG_DFL);
		alarm(3);
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGALRM);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		return SIGUSR2;
	}
	if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
		stopping = true;
	if (info.ssi_signo != SIGUSR2)
		released = true;
	return info.ssi_signo;
}

enum {
	OPT_LISTEN = 256,
	OPT_CONNECT,
	OPT_BIND,
	OPT_FIRST_PORT,
	OPT_IO,
	OPT_CONNECTIONS,
	OPT_TOTAL,
	OPT_RATE,
	OPT_MIX,
	OPT_SIZE,
	OPT_WRITE,
	OPT_READ,
	OPT_ROUNDS,
	OPT_SEED,
	OPT_TENANT,
	OPT_STALL_LIMIT,
	OPT_TIME_LIMIT,
	OPT_SETTLE,
	OPT_GREET,
	OPT_NAT,
	OPT_HOLD,
	OPT_STALL,
	OPT_TOLERATE,
	OPT_SPURIOUS,
	OPT_MPTCP,
	OPT_FASTOPEN,
	OPT_DEFER,
	OPT_TLS,
	OPT_FAULT,
};

static const struct argp_option argp_options[] = {
	{ "listen", OPT_LISTEN, "ADDRESS:PORT", 0, "Server: where; [::]:0 takes any free port", 0 },
	{ "connect", OPT_CONNECT, "ADDRESS:PORT", 0, "Client: where to", 0 },
	{ "bind", OPT_BIND, "ADDRESS", 0, "Client: from this address", 0 },
	{ "first-port", OPT_FIRST_PORT, "PORT", 0, "Client: connection N from PORT + N", 0 },
	{ "io", OPT_IO, "level|edge|block", 0, "epoll, or two threads for each connection", 0 },
	{ "connections", OPT_CONNECTIONS, "N", 0, "Client: open at once", 0 },
	{ "total", OPT_TOTAL, "N", 0, "In all; a server ends after them, else when told", 0 },
	{ "rate", OPT_RATE, "N", 0, "Client: new connections each second", 0 },
	{ "mix", OPT_MIX, "SCENARIO,...", 0, "Client: drawn for each connection", 0 },
	{ "size", OPT_SIZE, "MIN-MAX", 0, "Payload of a direction, of a message of rr", 0 },
	{ "write", OPT_WRITE, "MIN-MAX", 0, "Bytes in one send()", 0 },
	{ "read", OPT_READ, "MIN-MAX", 0, "Bytes asked of one recv()", 0 },
	{ "rounds", OPT_ROUNDS, "N", 0, "Messages of rr, 0: until told", 0 },
	{ "seed", OPT_SEED, "N", 0, "Of all that is drawn", 0 },
	{ "tenant", OPT_TENANT, "N", 0, "Owner of the bytes; both ends must agree", 0 },
	{ "stall-limit", OPT_STALL_LIMIT, "SECONDS", 0, "Without progress: a failure", 0 },
	{ "time-limit", OPT_TIME_LIMIT, "SECONDS", 0, "In all", 0 },
	{ "settle", OPT_SETTLE, "MSEC", 0, "Without progress: a flood has settled", 0 },
	{ "greet", OPT_GREET, NULL, 0, "The server speaks first (both ends)", 0 },
	{ "nat", OPT_NAT, NULL, 0, "Client: ports may be translated on the way", 0 },
	{ "hold", OPT_HOLD, NULL, 0, "Client: after the first message of rr, wait until told", 0 },
	{ "stall", OPT_STALL, NULL, 0, "Read nothing until told", 0 },
	{ "tolerate", OPT_TOLERATE, NULL, 0, "The other process may die", 0 },
	{ "spurious", OPT_SPURIOUS, NULL, 0, "A blocking recv() may give EAGAIN (counted)", 0 },
	{ "mptcp", OPT_MPTCP, NULL, 0, "MPTCP sockets", 0 },
	{ "fastopen", OPT_FASTOPEN, NULL, 0, "TCP Fast Open", 0 },
	{ "defer", OPT_DEFER, NULL, 0, "Server: TCP_DEFER_ACCEPT", 0 },
	{ "fault", OPT_FAULT, "flip|lose|repeat|stranger|short", 0, "Send wrong bytes", 0 },
	{ "tls", OPT_TLS, NULL, 0, "The kernel's TLS (both ends)", 0 },
	{ 0 },
};

static uint64_t parse_number(struct argp_state *state, const char *text, char **end)
{
	unsigned long value;

	errno = 0;
	value = strtoul(text, end, 10);
	if (*end == text || errno)
		argp_error(state, "%s: expected a number", text);
	if (**end == 'K')
		value <<= 10;
	else if (**end == 'M')
		value <<= 20;
	else if (**end == 'G')
		value <<= 30;
	*end += **end && strchr("KMG", **end);
	return value;
}

static uint64_t number(struct argp_state *state, const char *text)
{
	char *end;
	uint64_t value = parse_number(state, text, &end);

	if (*end)
		argp_error(state, "%s: expected a number", text);
	return value;
}

static struct range range(struct argp_state *state, const char *text)
{
	struct range range;
	char *end;

	range.min = range.max = parse_number(state, text, &end);
	if (*end == '-')
		range.max = parse_number(state, end + 1, &end);
	if (*end || range.min < 1 || range.max < range.min)
		argp_error(state, "%s: expected MIN-MAX", text);
	return range;
}

static socklen_t parse_host(struct sockaddr_in6 *addr, const char *host)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)addr;

	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, host, &addr->sin6_addr) == 1) {
		addr->sin6_family = AF_INET6;
		return sizeof(*addr);
	}
	return 0;
}

static void parse_address(struct argp_state *state, const char *text)
{
	char host[INET6_ADDRSTRLEN + 2] = "";
	const char *colon = strrchr(text, ':');
	size_t skip = text[0] == '[';

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		argp_error(state, "%s: expected ADDRESS:PORT", text);
	memcpy(host, text + skip, colon - text - 2 * skip);
	opt.address_len = parse_host(&opt.address, host);
	if (!opt.address_len)
		argp_error(state, "%s: expected ADDRESS:PORT", text);
	opt.address.sin6_port = htons(number(state, colon + 1));
}

static void parse_mix(struct argp_state *state, char *text)
{
	for (char *name = strtok(text, ","); name; name = strtok(NULL, ",")) {
		int i = plan_find(name);

		if (i < 0 || opt.nr_mix == 32)
			argp_error(state, "%s: no such scenario", name);
		opt.mix[opt.nr_mix++] = i;
	}
}

static void check_options(struct argp_state *state)
{
	if (!opt.address_len)
		argp_error(state, "--listen or --connect is missing");
	if (opt.write.max > CONN_BUFFER || opt.read.max > CONN_BUFFER)
		argp_error(state, "one send() or recv() takes at most %lu bytes", CONN_BUFFER);
	if (!opt.server && !opt.total)
		opt.total = opt.connections;
	if (!opt.nr_mix)
		opt.nr_mix = 1;
	if (opt.io != IO_BLOCK)
		return;
	if (opt.hold || opt.stall || opt.connections > 512)
		argp_error(state,
			   "--io block goes without --hold and --stall, and for 512 at most");
	for (int i = 0; i < opt.nr_mix; i++)
		if (!scenarios[opt.mix[i]].threads)
			argp_error(state, "%s: not with --io block", scenarios[opt.mix[i]].name);
}

static enum fault fault(struct argp_state *state, const char *text)
{
	static const char *const names[] = { "none", "flip", "lose", "repeat", "stranger", "short" };

	for (int i = 0; i <= FAULT_SHORT; i++)
		if (!strcmp(text, names[i]))
			return i;
	argp_error(state, "%s: no such fault", text);
	return FAULT_NONE;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_LISTEN:
	case OPT_CONNECT:
		parse_address(state, arg);
		break;
	case OPT_BIND:
		if (!parse_host(&opt.bind, arg))
			argp_error(state, "%s: expected an address", arg);
		break;
	case OPT_FIRST_PORT:
		opt.first_port = number(state, arg);
		break;
	case OPT_IO:
		if (strcmp(arg, "level") && strcmp(arg, "edge") && strcmp(arg, "block"))
			argp_error(state, "%s: expected level, edge or block", arg);
		opt.io = arg[0] == 'l' ? IO_LEVEL : arg[0] == 'e' ? IO_EDGE : IO_BLOCK;
		break;
	case OPT_CONNECTIONS:
		opt.connections = number(state, arg);
		break;
	case OPT_TOTAL:
		opt.total = number(state, arg);
		break;
	case OPT_RATE:
		opt.rate = number(state, arg);
		break;
	case OPT_MIX:
		parse_mix(state, arg);
		break;
	case OPT_SIZE:
		opt.size = range(state, arg);
		break;
	case OPT_WRITE:
		opt.write = range(state, arg);
		break;
	case OPT_READ:
		opt.read = range(state, arg);
		break;
	case OPT_ROUNDS:
		opt.rounds = number(state, arg);
		break;
	case OPT_SEED:
		opt.seed = number(state, arg);
		break;
	case OPT_TENANT:
		opt.tenant = number(state, arg);
		break;
	case OPT_STALL_LIMIT:
		opt.stall_limit = number(state, arg);
		break;
	case OPT_TIME_LIMIT:
		opt.time_limit = number(state, arg);
		break;
	case OPT_SETTLE:
		opt.settle = number(state, arg);
		break;
	case OPT_GREET:
		opt.greet = true;
		break;
	case OPT_NAT:
		opt.nat = true;
		break;
	case OPT_HOLD:
		opt.hold = true;
		break;
	case OPT_STALL:
		opt.stall = true;
		break;
	case OPT_TOLERATE:
		opt.tolerate = true;
		break;
	case OPT_SPURIOUS:
		opt.spurious = true;
		break;
	case OPT_MPTCP:
		opt.mptcp = true;
		break;
	case OPT_FASTOPEN:
		opt.fastopen = true;
		break;
	case OPT_DEFER:
		opt.defer = true;
		break;
	case OPT_FAULT:
		opt.fault = fault(state, arg);
		break;
	case OPT_TLS:
		opt.tls = true;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num || (strcmp(arg, "server") && strcmp(arg, "client")))
			argp_error(state, "%s: expected server or client", arg);
		opt.server = !strcmp(arg, "server");
		break;
	case ARGP_KEY_END:
		if (state->arg_num != 1)
			argp_error(state, "expected server or client");
		check_options(state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* On a machine that is as many times slower as PATIENCE says. */
static void be_patient(void)
{
	const char *patience = getenv("PATIENCE");
	unsigned int times = patience ? strtoul(patience, NULL, 10) : 1;

	opt.stall_limit *= times;
	opt.time_limit *= times;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse_option,
		.args_doc = "server|client",
		.doc = "Traffic whose every byte is checked for its value, its place and its owner.",
	};
	struct rlimit limit;
	sigset_t set;
	int signals, listener = -1;

	started = now_ns();
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	be_patient();
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	alarm(opt.time_limit);
	if (opt.server)
		listener = socket_listen();
	else
		event("started", "\"pid\": %d", getpid());
	if (opt.io == IO_BLOCK)
		run_threads(listener, signals);
	run_epoll(listener, signals);
}
