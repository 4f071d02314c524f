// SPDX-License-Identifier: GPL-2.0-only
/* sockets: the cases, in one family and placement, with one engine. Prints TAP.
 * Whoever calls it sees to it that the engine is on; see sockets.sh.
 */
#include <argp.h>
#include <fnmatch.h>
#include <sys/prctl.h>

#include "run.h"

static const struct test *const suites[] = {
	read_tests,	write_tests,	peek_tests,	poll_tests,	epoll_tests,
	lowat_tests,	pressure_tests, shutdown_tests, close_tests,	connect_tests,
	splice_tests,	sendfile_tests, oob_tests,	zerocopy_tests, ancillary_tests,
	ioctl_tests,	options_tests,	thread_tests,	process_tests,	signal_tests,
	io_uring_tests, order_tests,	fault_tests,	memory_tests,	disconnect_tests,
	release_tests,	death_tests,
};

static const char *const engines[] = { "tcp", "sockmap", "cpu", "dma", NULL };
static const char *const families[] = {
	[FAMILY_IPV4] = "ipv4",
	[FAMILY_IPV6] = "ipv6",
	[FAMILY_MAPPED] = "mapped",
	NULL,
};

static struct {
	const char *engine, *only, *pdload;
	unsigned int limit_ms;
	bool list, times;
} options = { .engine = "tcp", .only = "*", .limit_ms = 4000 };

enum {
	KEY_SERVER_NS = 256,
	KEY_CLIENT_NS,
	KEY_ADDRESS,
	KEY_LIMIT,
	KEY_PDLOAD,
	KEY_POLL,
	KEY_TIMES
};

static const struct argp_option argp_options[] = {
	{ "engine", 'e', "ENGINE", 0, "What moves the payload: tcp (default), sockmap, cpu, dma",
	  0 },
	{ "family", 'f', "FAMILY", 0, "ipv4 (default), ipv6 or mapped", 0 },
	{ "server-ns", KEY_SERVER_NS, "PATH", 0, "Network namespace of the servers", 0 },
	{ "client-ns", KEY_CLIENT_NS, "PATH", 0, "Network namespace of the clients", 0 },
	{ "address", KEY_ADDRESS, "ADDRESS", 0, "The servers' (default: the loopback's)", 0 },
	{ "limit", KEY_LIMIT, "MS", 0, "Time limit of a case (default 4000)", 0 },
	{ "pdload", KEY_PDLOAD, "PATH", 0,
	  "Ask it whether each case was accelerated, and to release connections", 0 },
	{ "poll-first", KEY_POLL, NULL, 0, "Both ends call poll() before anything is sent", 0 },
	{ "list", 'l', NULL, 0, "Print the names of the cases, and which are expected to fail", 0 },
	{ "only", 'o', "PATTERN", 0, "Cases whose name matches, as a shell pattern (also @(A|B))",
	  0 },
	{ "times", KEY_TIMES, NULL, 0, "Print how long each case takes", 0 },
	{ 0 },
};

static int index_of(struct argp_state *state, const char *const *words, const char *word)
{
	int i = 0;

	while (words[i] && strcmp(words[i], word))
		i++;
	if (!words[i])
		argp_error(state, "'%s' is not known", word);
	return i;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'e':
		options.engine = engines[index_of(state, engines, arg)];
		break;
	case 'f':
		place.family = index_of(state, families, arg);
		break;
	case KEY_POLL:
		place.poll_first = true;
		break;
	case KEY_SERVER_NS:
		place.server_ns = arg;
		break;
	case KEY_CLIENT_NS:
		place.client_ns = arg;
		break;
	case KEY_ADDRESS:
		place.address = arg;
		break;
	case KEY_LIMIT:
		options.limit_ms = strtoul(arg, NULL, 10);
		break;
	case KEY_PDLOAD:
		options.pdload = arg;
		release_by = arg;
		break;
	case 'l':
		options.list = true;
		break;
	case 'o':
		options.only = arg;
		break;
	case KEY_TIMES:
		options.times = true;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* Calls @visit with each case that was asked for, and its number from 1. */
static unsigned int for_each_test(void (*visit)(const struct test *test, unsigned int nr))
{
	unsigned int nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		for (const struct test *test = suites[i]; test->name; test++) {
			if (fnmatch(options.only, test->name, FNM_EXTMATCH))
				continue;
			nr++;
			if (visit)
				visit(test, nr);
		}
	}
	return nr;
}

static void list(const struct test *test, unsigned int nr)
{
	const struct defect *defect = defect_of(options.engine, test->name);

	if (defect)
		printf("%s\t%s\n", test->name, defect->reason);
	else
		printf("%s\n", test->name);
}

static unsigned int failures;

static void print_text(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf("# %.*s\n", (int)len, text);
		text += len + !!text[len];
	}
}

static void judge(const struct test *test, unsigned int nr, const struct outcome *outcome)
{
	const struct defect *defect = defect_of(options.engine, test->name);
	const char *name = test->name;

	if (outcome->verdict == SKIPPED) {
		printf("ok %u - %s # SKIP %s\n", nr, name, outcome->text);
	} else if (outcome->verdict == PASSED && (!defect || defect->sometimes)) {
		printf("ok %u - %s\n", nr, name);
	} else if (outcome->verdict == FAILED && defect) {
		printf("ok %u - %s: fails as expected (%s)\n", nr, name, defect->reason);
	} else {
		failures++;
		if (outcome->verdict == PASSED)
			printf("# unexpectedly passes; it is expected to fail: %s\n",
			       defect->reason);
		else
			print_text(outcome->text);
		printf("not ok %u - %s\n", nr, name);
	}
}

static void check_counters(const struct test *test, struct outcome *outcome)
{
	const char *why = NULL;

	if (outcome->verdict == PASSED && !never_accelerated(test->name))
		/* The module lets a reader's first bytes go over TCP, until it has called
		 * recv() or poll().
		 */
		why = counters_refuse(options.pdload, strcmp(options.engine, "sockmap") == 0);
	else
		counters_begin(options.pdload);
	if (!why)
		return;
	outcome->verdict = FAILED;
	snprintf(outcome->text, sizeof(outcome->text), "%s\n", why);
}

static void run(const struct test *test, unsigned int nr)
{
	const struct defect *defect = defect_of(options.engine, test->name);
	const char *harm = harm_of(options.engine, test->name);
	static struct outcome outcome;
	unsigned int limit = options.limit_ms;
	long began = now_ms();

	/* Many of those hang. */
	if (defect)
		limit /= 8;
	await_ms = limit / 4 * 3;
	place.turn = nr + !!place.client_ns;
	if (harm) {
		outcome.verdict = SKIPPED;
		snprintf(outcome.text, sizeof(outcome.text), "%s", harm);
	} else {
		run_case(test, limit, &outcome);
		if (options.pdload)
			check_counters(test, &outcome);
	}
	judge(test, nr, &outcome);
	if (options.times) {
		printf("# %5ld ms %s\n", now_ms() - began, test->name);
		if (defect && outcome.verdict == FAILED)
			print_text(outcome.text);
	}
	fflush(stdout);
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		for (const struct test *test = suites[i]; test->name; test++) {
			if (!strcmp(test->name, name))
				return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = argp_options,
		.parser = parse,
		.doc = "How connected TCP sockets behave, on plain TCP and on every engine.",
	};
	unsigned int nr;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	for (const struct defect *d = defects_of(options.engine); d->name; d++) {
		if (!is_known(d->name)) {
			fprintf(stderr, "no case is named %s\n", d->name);
			return 2;
		}
	}
	if (options.list) {
		for_each_test(list);
		return 0;
	}
	/* Processes that cases leave are reaped here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	nr = for_each_test(NULL);
	printf("1..%u\n", nr);
	if (options.pdload)
		counters_begin(options.pdload);
	for_each_test(run);
	return failures || !nr ? 1 : 0;
}
