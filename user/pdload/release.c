// SPDX-License-Identifier: GPL-2.0-only
/* Putting live connections back on plain TCP without losing a byte.
 *
 * When the epoch ends, the verdict program sends every further message over
 * TCP, and the reader takes what was redirected before it looks at that. What
 * remains is to take the sockets out of pd_socks, and that must not happen
 *   - while redirected bytes are unread: they would go with the psock. The queue
 *     of the psock says so exactly, once nobody can add to it;
 *   - while a sender is between its verdict, given before the epoch ended, and
 *     the queue of its peer. Each task inside send() or recv() holds a
 *     reference on the psock of its socket, and the queueing itself one on the
 *     peer's. A count of 1 is the map's own reference: nobody is inside. A
 *     higher one is harmless if each further reference is that of a task asleep
 *     in the socket's wait queue: there it waits for data or for buffer space,
 *     and asks for a verdict, or none, when it goes on.
 * The second count is read beside the wait queue and not together with it, so
 * it must hold in several looks in a row, with the lock of neither socket
 * taken: a sender that waits for its peer's lock is no sleeper of its own.
 *
 * The module keeps the bytes of its sockets apart from the psock, and their order.
 * So these are taken out at once, and are released when the module has gone from
 * the socket, which it does when the last redirected byte has been read.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "format.h"
#include "policy.h"
#include "release.h"

#define LOOKS 10 /* in a row for an end with sleepers */
#define LOOKS_ALONE 2 /* without: one says that no sender is inside, the next that all is read */
#define LOOK_NS (10 * 1000 * 1000) /* between them */
#define LOOKS_A_PROGRESS 100 /* looks between two lines of progress */
#define NAMED 20 /* connections named when the time is over */

/* How often in a row an end was quiet. */
struct seen {
	struct pd_key key;
	int looks;
};

struct release {
	int socks_fd;
	int rules_fd;
	struct seen *seen; /* sorted by key */
	size_t nr_seen;
	size_t taken; /* connections taken out of pd_socks */
	size_t held; /* of those the module still has, at the last look */
};

static volatile sig_atomic_t interrupted;

static void interrupt(int sig)
{
	interrupted = 1;
}

enum { OPT_DRAIN = 0x5b01 };

const struct argp_option pd_release_options[] = {
	{ "drain", OPT_DRAIN, "SECONDS", 0,
	  "How long to wait for readers of redirected bytes, 0 to 86400 (30)", 0 },
	{ 0 },
};

error_t pd_release__parse(int key, char *arg, struct argp_state *state)
{
	int *seconds = state->input;

	switch (key) {
	case OPT_DRAIN:
		*seconds = pd_args__number(state, "--drain", arg, 0, 86400);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", arg);
	}
	return ARGP_ERR_UNKNOWN;
}

static int compare_keys(const void *a, const void *b)
{
	const struct pd_key *x = a, *y = b;

	if (x->isn_active != y->isn_active)
		return x->isn_active < y->isn_active ? -1 : 1;
	if (x->isn_passive != y->isn_passive)
		return x->isn_passive < y->isn_passive ? -1 : 1;
	return (int)x->role - (int)y->role;
}

/* conn, and its key, come first in a record. */
static int compare_records(const void *a, const void *b)
{
	return compare_keys(a, b);
}

static bool same_connection(const struct pd_key *a, const struct pd_key *b)
{
	return a->isn_active == b->isn_active && a->isn_passive == b->isn_passive;
}

static int looks_before(const struct release *release, const struct pd_key *key)
{
	const struct seen *seen = NULL;

	if (release->nr_seen)
		seen = bsearch(key, release->seen, release->nr_seen, sizeof(*seen), compare_keys);
	return seen ? seen->looks : 0;
}

/* Looks in a row, this one included, in which this end was quiet and read up. */
static int quiet_looks(const struct release *release, const struct pd_conn_record *end)
{
	if (!end->queue_empty || end->locked || !end->psock_refs)
		return 0;
	if (end->psock_refs != 1 && end->psock_refs != 1 + end->sleepers)
		return 0;
	return looks_before(release, &end->conn.key) + 1;
}

static bool is_moved_by_module(const struct pd_conn_record *end)
{
	return end->conn.engine > PD_ENGINE_SOCKMAP;
}

static bool is_quiet(const struct pd_conn_record *end, int looks)
{
	if (is_moved_by_module(end))
		return true;
	return looks >= (end->psock_refs == 1 && !end->sleepers ? LOOKS_ALONE : LOOKS);
}

static int take_out(const struct release *release, const struct pd_conn_record *end)
{
	if (bpf_map_delete_elem(release->socks_fd, &end->conn.key) && errno != ENOENT &&
	    errno != EINVAL) {
		int err = -errno;

		p_err("can't take a socket out of pd_socks: %s", strerror(-err));
		return err;
	}
	return 0;
}

static bool in_sockmap(const struct release *release, const struct pd_key *key)
{
	__u64 cookie;

	return !bpf_map_lookup_elem(release->socks_fd, key, &cookie);
}

/* Keep the ends in question: enrolled under an older epoch, in pd_socks now.
 * (An end that was taken out keeps its psock while a reader sleeps in it.) The
 * iterator may show an end twice, or miss it, while others come and go.
 */
static size_t select_ends(const struct release *release, struct pd_conn_record *records, size_t nr)
{
	size_t i, ends = 0;

	qsort(records, nr, sizeof(*records), compare_records);
	for (i = 0; i < nr; i++) {
		const struct pd_conn_record *end = &records[i];

		if (ends && !compare_records(&records[ends - 1], end))
			continue;
		if (end->released &&
		    (end->attached || (end->in_sockmap && in_sockmap(release, &end->conn.key))))
			records[ends++] = *end;
	}
	return ends;
}

/* One look at all connections: take out what is quiet at both ends, remember
 * the rest. Returns how many are left, or -errno. *records is what is left of them.
 */
static ssize_t look(struct release *release, struct pd_conn_record **records, size_t *nr)
{
	size_t left = 0, nr_seen = 0, kept = 0, i, ends;
	struct seen *seen;
	int err;

	err = pd_pins__conns(records, nr);
	if (err)
		return err;
	*nr = select_ends(release, *records, *nr);
	release->held = 0;
	if (!*nr)
		return 0;
	seen = calloc(*nr, sizeof(*seen));
	if (!seen)
		return -ENOMEM;

	for (i = 0; i < *nr; i += ends) {
		struct pd_conn_record *a = *records + i, *b = NULL;
		struct pd_key peer = a->conn.key;
		int looks_a, looks_b = 0;
		bool alone;

		if (i + 1 < *nr && same_connection(&a->conn.key, &a[1].conn.key))
			b = a + 1;
		ends = b ? 2 : 1;
		peer.role = !peer.role;
		alone = !b && !in_sockmap(release, &peer);
		looks_a = quiet_looks(release, a);
		if (b)
			looks_b = quiet_looks(release, b);
		if (is_quiet(a, looks_a) && (alone || (b && is_quiet(b, looks_b)))) {
			if (in_sockmap(release, &a->conn.key) ||
			    (b && in_sockmap(release, &b->conn.key)))
				release->taken++;
			err = take_out(release, a);
			if (!err && b)
				err = take_out(release, b);
			if (err) {
				free(seen);
				return err;
			}
			if (!a->attached && (!b || !b->attached))
				continue;
			release->held++;
			left++;
			goto keep;
		}
		/* Both ends have to be quiet in the same look. */
		if (!alone && (!looks_a || !looks_b))
			looks_a = looks_b = 0;
		seen[nr_seen++] = (struct seen){ a->conn.key, looks_a };
		if (b)
			seen[nr_seen++] = (struct seen){ b->conn.key, looks_b };
		left++;
keep:
		memmove(*records + kept, a, ends * sizeof(*a));
		kept += ends;
	}
	*nr = kept;
	free(release->seen);
	release->seen = seen;
	release->nr_seen = nr_seen;
	return left;
}

/* What the module still has may have been taken out by an earlier run. */
static size_t nr_released(const struct release *release)
{
	return release->taken > release->held ? release->taken - release->held : 0;
}

/* A look without a finding may have missed one: with @stop pd_socks has to be
 * empty, else two looks in a row have to agree.
 */
static bool is_over(const struct release *release, bool stop, int empty_looks)
{
	struct pd_key key;

	if (!stop)
		return empty_looks > 1;
	return empty_looks && bpf_map_get_next_key(release->socks_fd, NULL, &key);
}

/* Say what @end has to read of the connection @text; false if that is nothing. */
static bool name_unread(const char *text, const struct pd_conn_record *end)
{
	char at[PD_ADDR_TEXT], bytes[PD_BYTES_TEXT];
	const char *owner;

	if (!end || (!end->unread && end->queue_empty))
		return false;
	owner = pd_endpoint__owner(end->conn.cgroup_id);
	p_warn("not drained: %s, %s has %s to read%s%s", text,
	       pd_format__addr(at, &end->conn.local), pd_format__bytes(bytes, end->unread),
	       *owner ? ", of " : "", owner);
	return true;
}

/* @b is NULL if there is one end alone. */
static void name_connection(const struct pd_conn_record *a, const struct pd_conn_record *b)
{
	char local[PD_ADDR_TEXT], remote[PD_ADDR_TEXT], text[2 * PD_ADDR_TEXT + 4];
	bool active = a->conn.key.role == PD_ROLE_ACTIVE, named;

	pd_format__addr(local, active ? &a->conn.local : &a->conn.remote);
	pd_format__addr(remote, active ? &a->conn.remote : &a->conn.local);
	snprintf(text, sizeof(text), "%s -> %s", local, remote);
	named = name_unread(text, a);
	named |= name_unread(text, b);
	if (!named)
		p_warn("not drained: %s was not seen at rest, with no program inside send() or "
		       "recv(), for long enough",
		       text);
}

static void name_left(const struct pd_conn_record *records, size_t nr, size_t left)
{
	size_t i, named = 0, ends;

	for (i = 0; i < nr && named < NAMED; i += ends) {
		ends = i + 1 < nr && same_connection(&records[i].conn.key,
						     &records[i + 1].conn.key) ?
			       2 :
			       1;
		name_connection(&records[i], ends == 2 ? &records[i + 1] : NULL);
		named++;
	}
	if (left > named)
		p_warn("not drained: %zu more", left - named);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int pd_release__run(bool stop, int seconds, size_t *released, size_t *left)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct sigaction action = { .sa_handler = interrupt }, old_int, old_term;
	struct release release = { .socks_fd = -1, .rules_fd = -1 };
	struct pd_conn_record *records = NULL;
	double deadline = now() + seconds;
	struct pd_control *control;
	int err, looks = 0, empty_looks = 0;
	size_t nr = 0;
	ssize_t n;

	*released = 0;
	*left = 0;
	control = pd_pins__control();
	if (!control)
		return -EIO;
	release.socks_fd = pd_pins__map("pd_socks");
	release.rules_fd = pd_pins__map("pd_rules");
	if (release.socks_fd < 0 || release.rules_fd < 0) {
		err = -EIO;
		goto unmap;
	}
	/* Enrolment that has begun ends before the epoch does; a verdict that
	 * was given in the old epoch is given before the first look.
	 */
	if (stop)
		__atomic_store_n(&control->enrolling, 0, __ATOMIC_SEQ_CST);
	err = pd_policy__wait_for_programs(release.rules_fd, control->generation);
	if (!err) {
		__atomic_add_fetch(&control->epoch, 1, __ATOMIC_SEQ_CST);
		err = pd_policy__wait_for_programs(release.rules_fd, control->generation);
	}
	if (err) {
		p_err("can't wait for the BPF programs that run now: %s; run this again",
		      strerror(-err));
		goto unmap;
	}

	sigemptyset(&action.sa_mask);
	interrupted = 0;
	sigaction(SIGINT, &action, &old_int);
	sigaction(SIGTERM, &action, &old_term);
	for (;;) {
		free(records);
		records = NULL;
		n = look(&release, &records, &nr);
		empty_looks = n ? 0 : empty_looks + 1;
		if (n < 0 || is_over(&release, stop, empty_looks) || now() >= deadline ||
		    interrupted)
			break;
		if (++looks % LOOKS_A_PROGRESS == 0)
			p_progress("draining: left %zd, released %zu", n, nr_released(&release));
		nanosleep(&pause, NULL);
	}
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	if (n > 0)
		name_left(records, nr, n);
	if (!n && stop && !is_over(&release, stop, empty_looks)) {
		p_warn("not drained: sockets that the list of connections does not show");
		n = 1;
	}
	err = n > 0 ? 1 : n;
	*released = nr_released(&release);
	*left = n > 0 ? n : 0;
	free(release.seen);
	free(records);
unmap:
	if (release.rules_fd >= 0)
		close(release.rules_fd);
	if (release.socks_fd >= 0)
		close(release.socks_fd);
	munmap(control, sysconf(_SC_PAGESIZE));
	return err;
}
