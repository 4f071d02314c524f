/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload watch: what the programs write to pd_events, as it comes. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "args.h"
#include "cgroup.h"
#include "endpoint.h"
#include "format.h"
#include "output.h"
#include "pins.h"
#include "rules.h"
#include "stats.h"

#define LOCKED_DIR PD_PIN_DIR "/maps" /* locked by the one reader */

enum { OPT_COUNT = 0x4e01, OPT_SECONDS }; /* no short forms */

struct watch {
	__u64 count; /* events to print; 0: no limit */
	__u64 seconds; /* 0: no limit */
	__u64 start;
	__u64 printed;
	ino_t ino; /* of LOCKED_DIR */
	bool unwritable; /* standard output takes nothing more */
	struct pd_rules rules;
	struct pd_control *control;
};

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	stopped = 1;
}

/* Which process holds the flock on @st, from /proc/locks; 0 if it does not say
 * (a process of another pid namespace).
 */
static int holder_of(const struct stat *st)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	int holder = 0;

	if (!locks)
		return 0;
	while (!holder && fgets(line, sizeof(line), locks)) {
		unsigned int major, minor;
		unsigned long long ino;
		int pid;

		/* "3: FLOCK  ADVISORY  WRITE 1234 00:1e:5678 0 EOF" */
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid, &major, &minor, &ino) ==
			    4 &&
		    major == major(st->st_dev) && minor == minor(st->st_dev) && ino == st->st_ino)
			holder = pid;
	}
	fclose(locks);
	return holder;
}

/* Become the one reader, until the process ends. */
static int lock_ring(struct watch *watch)
{
	int fd = open(LOCKED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int holder, err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		p_err("can't open " LOCKED_DIR ": %s", strerror(-err));
		if (fd >= 0)
			close(fd);
		return err;
	}
	watch->ino = st.st_ino;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	err = -errno;
	holder = err == -EWOULDBLOCK ? holder_of(&st) : 0;
	if (holder > 0)
		p_err("can't watch: process %d watches already and there is one reader at a time; "
		      "end it first",
		      holder);
	else
		p_err("can't watch: can't lock " LOCKED_DIR ": %s",
		      err == -EWOULDBLOCK ? "another pdload watches already" : strerror(-err));
	close(fd);
	return err;
}

/* What was pinned when we began is pinned still; `down` and `up` in between
 * makes other directories.
 */
static bool still_up(const struct watch *watch)
{
	struct stat st;

	return !stat(LOCKED_DIR, &st) && st.st_ino == watch->ino;
}

/* The rule that decided about the connection; NULL if its rule set has been
 * replaced since.
 */
static const char *rule_of(struct watch *watch, const struct pd_event *event)
{
	if (pd_rules__refresh(&watch->rules, watch->control))
		return NULL;
	return pd_rules__name(&watch->rules, event->generation, event->rule);
}

static bool print_json(const struct pd_event *event, const char *rule)
{
	bool active = event->key.role == PD_ROLE_ACTIVE;
	cJSON *obj = cJSON_CreateObject();
	cJSON *client, *server;
	char text[PD_TIME_TEXT];

	pd_json__string(obj, "time", pd_format__time(text, event->time));
	pd_json__string(obj, "event", pd_name__event(event->type));
	pd_endpoint__json_id(obj, &event->key);
	pd_json__string(obj, "end", active ? "client" : "server");
	if (event->type == PD_EVENT_DECLINE)
		pd_json__string(obj, "reason", pd_name__reason(event->reason));
	if (rule)
		pd_json__string(obj, "rule", rule);
	client = cJSON_AddObjectToObject(obj, "client");
	pd_endpoint__json_addr(client, "address", "port", active ? &event->local : &event->remote);
	pd_endpoint__json_owner(client, event->client_cgroup_id);
	server = cJSON_AddObjectToObject(obj, "server");
	pd_endpoint__json_addr(server, "address", "port", active ? &event->remote : &event->local);
	pd_endpoint__json_owner(server, event->server_cgroup_id);
	if (event->type == PD_EVENT_CLOSE) {
		pd_json__u64(obj, "redirected_bytes", event->redirected_bytes);
		pd_json__u64(obj, "tcp_bytes", event->tcp_bytes);
	}
	return pd_json__print_line(obj);
}

static void print_end(const struct pd_addr *addr, __u64 cgroup_id)
{
	const char *owner = pd_endpoint__owner(cgroup_id);
	char text[PD_ADDR_TEXT];

	printf("%s", pd_format__addr(text, addr));
	if (*owner)
		printf(" (%s)", owner);
}

static bool print_text(const struct pd_event *event, const char *rule)
{
	bool active = event->key.role == PD_ROLE_ACTIVE;
	char redirected[PD_BYTES_TEXT], tcp[PD_BYTES_TEXT];
	char text[PD_TIME_TEXT];

	printf("%s %-10s ", pd_format__clock(text, event->time), pd_name__event(event->type));
	print_end(active ? &event->local : &event->remote, event->client_cgroup_id);
	printf(" -> ");
	print_end(active ? &event->remote : &event->local, event->server_cgroup_id);
	switch (event->type) {
	case PD_EVENT_ACCELERATE:
		printf(" to %s", active ? "server" : "client");
		break;
	case PD_EVENT_DECLINE:
		if (pd_reason__of_direction(event->reason))
			printf(" to %s", active ? "server" : "client");
		printf(" reason %s", pd_name__reason(event->reason));
		break;
	case PD_EVENT_CLOSE:
		printf(" %s sent %s redirected, %s over TCP", active ? "client" : "server",
		       pd_format__bytes(redirected, event->redirected_bytes),
		       pd_format__bytes(tcp, event->tcp_bytes));
		break;
	}
	if (rule)
		printf(" rule %s", rule);
	printf("\n");
	return !fflush(stdout);
}

/* Returns a negative number to be called no more; this event is consumed. */
static int on_event(void *ctx, void *data, size_t size)
{
	const struct pd_event *event = data;
	struct watch *watch = ctx;
	const char *rule;

	/* Left in the ring by an earlier reader. */
	if (size < sizeof(*event) || event->time < watch->start)
		return 0;
	rule = rule_of(watch, event);
	if (!(pd_json ? print_json(event, rule) : print_text(event, rule))) {
		watch->unwritable = true;
		return -EPIPE;
	}
	watch->printed++;
	if (stopped || watch->printed == watch->count)
		return -ECANCELED;
	return 0;
}

static bool is_over(const struct watch *watch)
{
	return stopped || watch->unwritable || (watch->count && watch->printed >= watch->count) ||
	       (watch->seconds && pd_time__now() - watch->start >= watch->seconds * 1000000000ULL);
}

/* Milliseconds to the next look at the pins, or to the end of --seconds. */
static int patience(const struct watch *watch)
{
	__u64 left;

	if (!watch->seconds)
		return 1000;
	left = watch->start + watch->seconds * 1000000000ULL - pd_time__now();
	return left / 1000000 < 1000 ? left / 1000000 + 1 : 1000;
}

static int read_events(struct watch *watch, struct ring_buffer *ring)
{
	__u64 looked = pd_time__now();

	while (!is_over(watch)) {
		int err = ring_buffer__poll(ring, patience(watch));

		if (err < 0 && err != -EINTR && err != -ECANCELED && err != -EPIPE) {
			p_err("can't read " PD_PIN_DIR "/maps/pd_events: %s", strerror(-err));
			return PD_EXIT_FAILED;
		}
		if (pd_time__now() - looked < 1000000000ULL || is_over(watch))
			continue;
		looked = pd_time__now();
		if (pd_output__is_broken_pipe())
			return PD_EXIT_OK;
		if (!still_up(watch)) {
			ring_buffer__consume(ring);
			p_err("nothing more to watch: `pdload down` has removed PipeDevice");
			return PD_EXIT_NOT_UP;
		}
	}
	return PD_EXIT_OK;
}

static __u64 events_lost(int totals_fd)
{
	struct pd_totals totals;

	if (pd_stats__sum(totals_fd, 0, (__u64 *)&totals, sizeof(totals) / sizeof(__u64)))
		return 0;
	return totals.events_lost;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct watch *watch = state->input;

	switch (key) {
	case OPT_COUNT:
		watch->count = pd_args__number(state, "--count", arg, 1, UINT32_MAX);
		return 0;
	case OPT_SECONDS:
		watch->seconds = pd_args__number(state, "--seconds", arg, 1, UINT32_MAX);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int watch_events(struct watch *watch)
{
	int totals_fd = pd_pins__map("pd_totals");
	int ring_fd = pd_pins__map("pd_events");
	struct ring_buffer *ring = NULL;
	__u64 lost;
	int rc = PD_EXIT_FAILED;

	watch->control = pd_pins__control();
	if (totals_fd < 0 || ring_fd < 0 || !watch->control ||
	    pd_rules__refresh(&watch->rules, watch->control))
		goto out;
	ring = ring_buffer__new(ring_fd, on_event, watch, NULL);
	if (!ring) {
		p_err("can't map " PD_PIN_DIR "/maps/pd_events: %s", strerror(errno));
		goto out;
	}
	lost = events_lost(totals_fd);
	watch->start = pd_time__now();
	__atomic_store_n(&watch->control->watching, 1, __ATOMIC_RELEASE);
	rc = read_events(watch, ring);
	__atomic_store_n(&watch->control->watching, 0, __ATOMIC_RELEASE);
	lost = events_lost(totals_fd) - lost;
	if (lost)
		p_warn("%" PRIu64 " events were lost: they came faster than they were printed",
		       (uint64_t)lost);
out:
	ring_buffer__free(ring);
	pd_rules__free(&watch->rules);
	if (ring_fd >= 0)
		close(ring_fd);
	if (totals_fd >= 0)
		close(totals_fd);
	return rc;
}

int pd_watch__main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "count", OPT_COUNT, "N", 0, "End after N events", 0 },
		{ "seconds", OPT_SECONDS, "N", 0, "End after N seconds", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = pd_args_none,
		.doc = "Print connections with both ends on this host as they open, accelerate, "
		       "decline and close, until interrupted.\vThere is one reader at a time. With "
		       "--json each event is an object on a line of its own.",
	};
	struct sigaction action = { .sa_handler = stop };
	struct watch watch = { 0 };
	int lock, rc;

	argp_parse(&argp, argc, argv, 0, NULL, &watch);
	rc = pd_pins__require();
	if (rc)
		return rc;
	lock = lock_ring(&watch);
	if (lock < 0)
		return PD_EXIT_FAILED;
	pd_container__ask_again();
	/* Whatever ends us, the programs must stop writing events. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	rc = watch_events(&watch);
	close(lock);
	return rc;
}
