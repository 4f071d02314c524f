/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload status: is it up, and totals per rule and per reason. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "cgroup.h"
#include "engine_report.h"
#include "format.h"
#include "json.h"
#include "pins.h"
#include "rules.h"
#include "stats.h"

struct status {
	time_t since; /* 0: not known */
	bool enrolling;
	__u32 engine; /* of what is enrolled now */
	bool has_dma;
	struct pd_engines dma; /* owned */
	bool watching;
	__u64 cgroup_id; /* 0: it has been removed */
	__u64 enrolled; /* connections now */
	__u64 unread; /* redirected bytes of released connections */
	struct pd_totals totals; /* live connections included */
	struct pd_rules rules;
	struct pd_rule_stats by_rule[PD_MAX_RULES + 1]; /* live ones included */
	__u64 by_reason[PD_REASON_MAX];
};

static const char *explain(__u32 reason)
{
	static const char *const texts[PD_REASON_MAX] = {
		[PD_REASON_RULE] = "a rule says bypass",
		[PD_REASON_DEFAULT] = "no rule matched and the default is bypass",
		[PD_REASON_OFF_HOST] = "the other end is not on this host, or could not be paired",
		[PD_REASON_BUSY] = "another agent's sockmap owns the socket",
		[PD_REASON_ULP] =
			"kernel TLS or another ULP is set on a socket, or was refused on an enrolled one",
		[PD_REASON_MPTCP] = "an MPTCP subflow",
		[PD_REASON_FASTOPEN] = "data in the SYN",
		[PD_REASON_MAP_FULL] = "--max-connections was reached",
		[PD_REASON_NO_MEMORY] = "the kernel could not allocate its state",
		[PD_REASON_REFUSED] = "the kernel would not take the socket",
		[PD_REASON_RELEASED] = "put back on TCP by flush or down",
		[PD_REASON_RACED] =
			"direction: its first byte went out before the peer was enrolled",
		[PD_REASON_OVERFLOW] =
			"direction: the reader had the bound unread, or TCP's memory was short",
	};

	return reason < PD_REASON_MAX && texts[reason] ? texts[reason] : "";
}

static int read_words(const char *map, __u32 key, __u64 *sum, size_t words)
{
	int fd = pd_pins__map(map);
	int err = fd < 0 ? fd : pd_stats__sum(fd, key, sum, words);

	if (fd >= 0)
		close(fd);
	return err;
}

static int read_counters(struct status *status)
{
	int fd, err;

	err = read_words("pd_totals", 0, (__u64 *)&status->totals,
			 sizeof(status->totals) / sizeof(__u64));
	if (err)
		return err;
	fd = pd_pins__map("pd_reasons");
	if (fd < 0)
		return fd;
	for (__u32 i = 0; i < PD_REASON_MAX && !err; i++)
		err = pd_stats__sum(fd, i, &status->by_reason[i], 1);
	close(fd);
	if (err)
		return err;
	fd = pd_pins__map("pd_rule_stats");
	if (fd < 0)
		return fd;
	for (__u32 i = 0; i < status->rules.policy->nr_rules && !err; i++)
		err = pd_stats__sum(fd, i, (__u64 *)&status->by_rule[i],
				    sizeof(status->by_rule[i]) / sizeof(__u64));
	close(fd);
	return err;
}

/* The programs add a connection to the counters when it closes; until then its
 * bytes stand with its sockets.
 */
static int add_live(struct status *status)
{
	struct pd_conn_record *records;
	size_t nr;
	int err = pd_pins__conns(&records, &nr);

	if (err)
		return err;
	for (size_t i = 0; i < nr; i++) {
		const struct pd_conn *conn = &records[i].conn;

		if (records[i].tcp_state == TCP_CLOSE ||
		    (conn->state != PD_STATE_PAIRED && conn->state != PD_STATE_RELEASED))
			continue;
		if (conn->state == PD_STATE_PAIRED && conn->key.role == PD_ROLE_PASSIVE)
			status->enrolled++;
		if (records[i].released)
			status->unread += records[i].unread;
		status->totals.redirected_bytes += conn->redirected_bytes;
		status->totals.redirected_messages += conn->redirected_messages;
		status->totals.tcp_bytes += conn->tcp_bytes;
		status->totals.tcp_messages += conn->tcp_messages;
		if (conn->generation == status->rules.generation && conn->rule <= PD_MAX_RULES) {
			status->by_rule[conn->rule].redirected_bytes += conn->redirected_bytes;
			status->by_rule[conn->rule].tcp_bytes += conn->tcp_bytes;
		}
	}
	free(records);
	return 0;
}

static int read_attachment(struct status *status)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);
	int fd = pd_pins__link("detect");
	int err;

	if (fd < 0)
		return fd;
	err = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	if (err) {
		p_err("can't read where " PD_PIN_DIR "/links/detect is attached: %s",
		      strerror(-err));
		return err;
	}
	status->cgroup_id = info.cgroup.cgroup_id;
	return 0;
}

static int read_status(struct status *status)
{
	const struct pd_control *control = pd_pins__control();
	char why[PD_ENGINE_WHY];
	struct stat st;
	int err;

	if (!control)
		return -EIO;
	/* `up` makes this one, and nobody touches it until `down`. */
	if (!stat(PD_PIN_DIR "/maps/pd_control", &st))
		status->since = st.st_mtime;
	err = read_attachment(status);
	/* Rules of one generation and counters of another belong to a policy
	 * that was applied in between: read again. Live connections last: one
	 * that closes meanwhile is missed rather than counted twice.
	 */
	do {
		status->enrolled = 0;
		status->unread = 0;
		if (!err)
			err = pd_rules__refresh(&status->rules, control);
		if (!err)
			err = read_counters(status);
		if (!err)
			err = add_live(status);
	} while (!err && status->rules.generation !=
				 __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE));
	status->engine = __atomic_load_n(&control->engine, __ATOMIC_RELAXED);
	status->enrolling = __atomic_load_n(&control->enrolling, __ATOMIC_RELAXED);
	status->watching = __atomic_load_n(&control->watching, __ATOMIC_RELAXED);
	status->has_dma = status->engine == PD_ENGINE_DMA &&
			  !pd_engine_file__read(&status->dma, why);
	return err;
}

static void print_json(const struct status *status)
{
	const struct pd_policy *policy = status->rules.policy;
	cJSON *obj = cJSON_CreateObject();
	cJSON *rules, *reasons;
	char since[PD_TIME_TEXT];

	cJSON_AddBoolToObject(obj, "up", true);
	cJSON_AddBoolToObject(obj, "draining", !status->enrolling);
	pd_json__u64(obj, "draining_bytes", status->unread);
	cJSON_AddBoolToObject(obj, "watching", status->watching);
	if (status->since) {
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime(&status->since));
		cJSON_AddStringToObject(obj, "since", since);
		cJSON_AddNumberToObject(obj, "age_seconds", time(NULL) - status->since);
	}
	pd_json__string(obj, "engine", pd_name__engine(status->engine));
	if (status->has_dma)
		cJSON_AddItemToObject(obj, "dma", pd_engine_report__json(&status->dma));
	pd_json__string(obj, "cgroup",
			status->cgroup_id ? pd_cgroup__path(status->cgroup_id) : NULL);
	pd_json__u64(obj, "generation", status->rules.generation);
	pd_json__u64(obj, "enrolled", status->enrolled);
	pd_json__u64(obj, "opened", status->totals.opened);
	pd_json__u64(obj, "accelerated", status->totals.accelerated);
	pd_json__u64(obj, "closed", status->totals.closed);
	pd_json__u64(obj, "redirected_bytes", status->totals.redirected_bytes);
	pd_json__u64(obj, "redirected_messages", status->totals.redirected_messages);
	pd_json__u64(obj, "tcp_bytes", status->totals.tcp_bytes);
	pd_json__u64(obj, "tcp_messages", status->totals.tcp_messages);
	pd_json__u64(obj, "events_lost", status->totals.events_lost);
	rules = cJSON_AddArrayToObject(obj, "rules");
	for (__u32 i = 0; i < policy->nr_rules; i++) {
		cJSON *rule = cJSON_CreateObject();

		pd_json__string(rule, "name", policy->rules[i].name);
		pd_json__string(rule, "action", pd_name__action(policy->rules[i].action));
		pd_json__u64(rule, "accelerated", status->by_rule[i].accelerated);
		pd_json__u64(rule, "bypassed", status->by_rule[i].bypassed);
		pd_json__u64(rule, "redirected_bytes", status->by_rule[i].redirected_bytes);
		pd_json__u64(rule, "tcp_bytes", status->by_rule[i].tcp_bytes);
		cJSON_AddItemToArray(rules, rule);
	}
	reasons = cJSON_AddObjectToObject(obj, "reasons");
	for (__u32 i = PD_REASON_NONE + 1; i < PD_REASON_MAX; i++)
		pd_json__u64(reasons, pd_name__reason(i), status->by_reason[i]);
	pd_json__print(obj);
}

static void print_rules(const struct status *status)
{
	const struct pd_policy *policy = status->rules.policy;
	struct pd_table *table =
		pd_table__new("RULE|ACTION|>ACCELERATED|>BYPASSED|>REDIRECTED|>TCP");

	for (__u32 i = 0; i < policy->nr_rules; i++) {
		const struct pd_rule_stats *stats = &status->by_rule[i];
		char redirected[PD_BYTES_TEXT], tcp[PD_BYTES_TEXT];

		pd_table__cell(table, "%s", policy->rules[i].name);
		pd_table__cell(table, "%s", pd_name__action(policy->rules[i].action));
		pd_table__cell(table, "%" PRIu64, (uint64_t)stats->accelerated);
		pd_table__cell(table, "%" PRIu64, (uint64_t)stats->bypassed);
		pd_table__cell(table, "%s", pd_format__bytes(redirected, stats->redirected_bytes));
		pd_table__cell(table, "%s", pd_format__bytes(tcp, stats->tcp_bytes));
	}
	printf("\n");
	pd_table__print(table, stdout, 0);
	pd_table__free(table);
}

static void print_reasons(const struct status *status)
{
	struct pd_table *table = pd_table__new("NOT ACCELERATED|>TIMES|WHY");
	bool any = false;

	for (__u32 i = PD_REASON_NONE + 1; i < PD_REASON_MAX; i++) {
		if (!status->by_reason[i])
			continue;
		any = true;
		pd_table__cell(table, "%s", pd_name__reason(i));
		pd_table__cell(table, "%" PRIu64, (uint64_t)status->by_reason[i]);
		pd_table__cell(table, "%s", explain(i));
	}
	if (any) {
		printf("\n");
		pd_table__print(table, stdout, 0);
	}
	pd_table__free(table);
}

static void print_dma(const struct pd_engines *dma)
{
	__u64 bytes = 0, errors = 0, timeouts = 0;
	char text[PD_BYTES_TEXT];

	for (size_t i = 0; i < dma->nr_channels; i++) {
		bytes += dma->channels[i].bytes;
		errors += dma->channels[i].errors;
		timeouts += dma->channels[i].timeouts;
	}
	printf("dma          %s, %zu of %zu channels active, %s copied, %" PRIu64
	       " errors, %" PRIu64 " timeouts\n",
	       dma->on ? "on" : "off", pd_engine_report__active(dma), dma->nr_channels,
	       pd_format__bytes(text, bytes), (uint64_t)errors, (uint64_t)timeouts);
}

static void print_text(const struct status *status)
{
	const char *path = status->cgroup_id ? pd_cgroup__path(status->cgroup_id) : NULL;
	const struct pd_totals *totals = &status->totals;
	__u32 rules = status->rules.policy->nr_rules - 1;
	char redirected[PD_BYTES_TEXT], tcp[PD_BYTES_TEXT];
	char since[PD_TIME_TEXT], age[PD_AGE_TEXT];

	printf("PipeDevice is %s",
	       status->enrolling ? "up" : "going down, no new connection is enrolled; it was up");
	if (status->since) {
		strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", localtime(&status->since));
		printf(", since %s (%s)", since, pd_format__age(age, time(NULL) - status->since));
	}
	printf("\n");
	printf("engine       %s\n", pd_name__engine(status->engine));
	if (status->has_dma)
		print_dma(&status->dma);
	printf("cgroup       %s\n",
	       path ? path : "removed: nothing new is enrolled until `pdload down` and `up`");
	printf("policy       generation %" PRIu64 ", %u rule%s and the default\n",
	       (uint64_t)status->rules.generation, rules, rules == 1 ? "" : "s");
	printf("now          %" PRIu64 " connection%s enrolled\n", (uint64_t)status->enrolled,
	       status->enrolled == 1 ? "" : "s");
	if (status->unread)
		printf("draining     %s of released connections to be read: `pdload conns --json` has "
		       "how much by whom (unread)\n",
		       pd_format__bytes(redirected, status->unread));
	printf("connections  %" PRIu64 " opened with both ends here, %" PRIu64
	       " accelerated, %" PRIu64 " of these closed\n",
	       (uint64_t)totals->opened, (uint64_t)totals->accelerated, (uint64_t)totals->closed);
	printf("bytes        %s redirected, %s over TCP\n",
	       pd_format__bytes(redirected, totals->redirected_bytes),
	       pd_format__bytes(tcp, totals->tcp_bytes));
	if (totals->events_lost)
		printf("events       %" PRIu64 " lost: watch did not keep up\n",
		       (uint64_t)totals->events_lost);
	print_rules(status);
	print_reasons(status);
}

int pd_status__main(int argc, char **argv)
{
	static const struct argp argp = {
		.children = pd_args_none,
		.doc = "Say whether PipeDevice is up, and totals per rule and per reason.\v"
		       "Exit code 3 if it is not up.",
	};
	struct status status = { 0 };
	int rc = PD_EXIT_OK;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	/* "No" is an answer, unless the directory is there or may not be seen. */
	if (!pd_pins__present() && access(PD_PIN_DIR, F_OK) && errno == ENOENT) {
		if (pd_json) {
			cJSON *obj = cJSON_CreateObject();

			cJSON_AddBoolToObject(obj, "up", false);
			pd_json__print(obj);
		} else {
			printf("PipeDevice is not up\n");
		}
		return PD_EXIT_NOT_UP;
	}
	rc = pd_pins__require();
	if (rc)
		return rc;
	if (read_status(&status))
		rc = PD_EXIT_FAILED;
	else if (pd_json)
		print_json(&status);
	else
		print_text(&status);
	pd_rules__free(&status.rules);
	pd_engine_file__free(&status.dma);
	return rc;
}
