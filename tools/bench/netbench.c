// SPDX-License-Identifier: GPL-2.0-only
/* netbench: request/response and stream between two processes, over TCP or a
 * Unix socket: rate, latency and CPU cost. Options and their sense.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu.h"
#include "netbench.h"

struct nb_options nb_opt = {
	.size = 64,
	.connections = 1,
	.seconds = 1,
	.warmup = 0.1,
	.cpu = CPU_NONE,
};

static const char args_doc[] = "server tcp ADDRESS PORT\nserver unix PATH\n"
			       "client rr|stream tcp ADDRESS PORT\nclient rr|stream unix PATH";

static const char doc[] =
	"Request/response (rr) and stream over TCP or a Unix socket."
	"\vA server serves one run after another until it is killed; what a run is, its client "
	"says. rr: the client sends --size bytes and gets them back, one request in flight on each "
	"connection. stream: the server writes --size bytes at a time, the client reads them and "
	"counts what arrived. Payload is verified; a wrong stream is an error, no figure.\n\n"
	"cpu_per_gb is the time that the two pinned CPUs were busy, per 10^9 payload bytes (rr: of "
	"both directions); it needs --cpu on both sides, and nothing else on these CPUs. tcp_bytes "
	"is what the kernel's TCP itself carried (TCP_INFO), of all_bytes: an accelerated "
	"connection has next to none.\n\n"
	"Example: `netbench server --cpu 1 tcp 10.0.0.2 5000 &' and then `netbench client rr tcp "
	"10.0.0.2 5000 --size 1K --connections 16 --cpu 0'.";

static const struct argp_option options[] = {
	{ "size", 's', "BYTES", 0, "of a message, 16 to 64M; K and M are known (64)", 0 },
	{ "connections", 'c', "NUMBER", 0, "opened before the warm-up (1)", 0 },
	{ "seconds", 't', "SECONDS", 0, "to measure (1)", 0 },
	{ "warmup", 'w', "SECONDS", 0, "before that (0.1)", 0 },
	{ "count", 'n', "NUMBER", 0, "end after so many requests, or reads of a stream", 0 },
	{ "cpu", 'p', "CPU", 0, "run on this CPU, with memory of its NUMA node", 0 },
	{ "json", 'j', NULL, 0, "print one JSON object", 0 },
	{ 0 },
};

static double number(struct argp_state *state, const char *text, double min, double max)
{
	double value, scale = 1;
	char *end;

	errno = 0;
	value = strtod(text, &end);
	if (end != text && (*end == 'K' || *end == 'M'))
		scale = *end++ == 'K' ? 1 << 10 : 1 << 20;
	value *= scale;
	if (end == text || *end || errno || !(value >= min && value <= max))
		argp_error(state, "%s is not a number from %g to %g", text, min, max);
	return value;
}

static void word(struct argp_state *state, const char *text, unsigned int position)
{
	/* The client names its test before the address. */
	if (position && !nb_opt.server)
		position--;
	if (state->arg_num == 0 && !strcmp(text, "server"))
		nb_opt.server = true;
	else if (state->arg_num == 0 && strcmp(text, "client"))
		argp_error(state, "%s is neither server nor client", text);
	else if (state->arg_num == 0)
		nb_opt.server = false;
	else if (!nb_opt.server && state->arg_num == 1 && !strcmp(text, "rr"))
		nb_opt.test = NB_RR;
	else if (!nb_opt.server && state->arg_num == 1 && !strcmp(text, "stream"))
		nb_opt.test = NB_STREAM;
	else if (!nb_opt.server && state->arg_num == 1)
		argp_error(state, "%s is neither rr nor stream", text);
	else if (position == 1 && !strcmp(text, "tcp"))
		nb_opt.family = AF_INET;
	else if (position == 1 && !strcmp(text, "unix"))
		nb_opt.family = AF_UNIX;
	else if (position == 1)
		argp_error(state, "%s is neither tcp nor unix", text);
	else if (position == 2)
		nb_opt.address = text;
	else if (position == 3 && nb_opt.family == AF_INET)
		nb_opt.port = (uint16_t)number(state, text, 1, 65535);
	else
		argp_error(state, "%s is one argument too many", text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 's':
		nb_opt.size = (uint32_t)number(state, arg, NB_MIN_SIZE, NB_MAX_SIZE);
		break;
	case 'c':
		nb_opt.connections = (uint32_t)number(state, arg, 1, NB_MAX_CONNECTIONS);
		break;
	case 't':
		nb_opt.seconds = number(state, arg, 0.01, 3600);
		break;
	case 'w':
		nb_opt.warmup = number(state, arg, 0, 3600);
		break;
	case 'n':
		nb_opt.count = (uint64_t)number(state, arg, 1, 1e15);
		break;
	case 'p':
		nb_opt.cpu = (int)number(state, arg, 0, 65535);
		break;
	case 'j':
		nb_opt.json = true;
		break;
	case ARGP_KEY_ARG:
		word(state, arg, state->arg_num);
		break;
	case ARGP_KEY_END:
		if (!nb_opt.address || (nb_opt.family == AF_INET && !nb_opt.port))
			argp_error(state, "expected server or client, what to run, and an address");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = { options, parse, args_doc, doc, NULL, NULL, NULL };

/* Async-signal-safe: a run that does not end is reported, not waited for. */
static void on_alarm(int sig)
{
	static const char text[] = "netbench: the run did not end in time: it hangs\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	_exit(n < 0 ? 3 : 2);
}

int main(int argc, char **argv)
{
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	signal(SIGALRM, on_alarm);
	if (nb_opt.cpu != CPU_NONE) {
		err = cpu_pin(nb_opt.cpu);
		if (err)
			nb_fail("can't run on CPU %d: %s", nb_opt.cpu, strerror(-err));
	}
	return nb_opt.server ? nb_server__main() : nb_client__main();
}
