/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload conns: the two ends that the kernel lists, joined into connections. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "endpoint.h"
#include "format.h"
#include "pins.h"
#include "rules.h"

/* A connection; one of the ends may be missing, never both. */
struct row {
	const struct pd_conn_record *client;
	const struct pd_conn_record *server;
};

static int compare(__u64 a, __u64 b)
{
	return a < b ? -1 : a > b;
}

static int by_key(const void *a, const void *b)
{
	const struct pd_key *x = &((const struct pd_conn_record *)a)->conn.key;
	const struct pd_key *y = &((const struct pd_conn_record *)b)->conn.key;
	int diff = compare(x->isn_active, y->isn_active);

	if (!diff)
		diff = compare(x->isn_passive, y->isn_passive);
	return diff ? diff : compare(x->role, y->role);
}

/* One of the ends: what both agree on is read from it. */
static const struct pd_conn *either(const struct row *row)
{
	return row->server ? &row->server->conn : &row->client->conn;
}

static __u64 opened(const struct row *row)
{
	return row->client ? row->client->conn.opened : row->server->conn.opened;
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int diff = compare(opened(x), opened(y));

	return diff ? diff : compare(either(x)->cookie, either(y)->cookie);
}

static bool is_closed(const struct pd_conn_record *end)
{
	return !end || end->tcp_state == TCP_CLOSE;
}

static bool is_enrolled(const struct pd_conn_record *end)
{
	return end && (end->conn.state == PD_STATE_CANDIDATE || end->conn.state == PD_STATE_PAIRED);
}

/* Of the direction that @end sends in. Nobody counts what a declined one sends. */
static __u32 path_of(const struct pd_conn_record *end)
{
	if (!end)
		return PD_PATH_NONE;
	return end->conn.state == PD_STATE_DECLINED ? PD_PATH_TCP : end->conn.path;
}

/* Sorts @records and points into them. Sockets that are closed but still held
 * by their program are left out once both ends are.
 */
static struct row *join(struct pd_conn_record *records, size_t nr, size_t *nr_rows)
{
	struct row *rows = calloc(nr ? nr : 1, sizeof(*rows));

	*nr_rows = 0;
	if (!rows)
		return NULL;
	if (nr)
		qsort(records, nr, sizeof(*records), by_key);
	for (size_t i = 0; i < nr; i++) {
		struct row row = { 0 };
		struct pd_key other = records[i].conn.key;

		if (other.role == PD_ROLE_PASSIVE) {
			row.server = &records[i];
		} else {
			row.client = &records[i];
			other.role = PD_ROLE_PASSIVE;
			if (i + 1 < nr && !memcmp(&records[i + 1].conn.key, &other, sizeof(other)))
				row.server = &records[++i];
		}
		if (!is_closed(row.client) || !is_closed(row.server))
			rows[(*nr_rows)++] = row;
	}
	qsort(rows, *nr_rows, sizeof(*rows), by_time);
	return rows;
}

/* The passive end knows first that both are enrolled; an end that is out takes
 * the connection out.
 */
static __u32 state_of(const struct row *row)
{
	static const __u32 strongest_first[] = { PD_STATE_DECLINED, PD_STATE_RELEASED,
						 PD_STATE_PAIRED };

	for (size_t i = 0; i < sizeof(strongest_first) / sizeof(strongest_first[0]); i++) {
		__u32 state = strongest_first[i];

		if ((row->client && row->client->conn.state == state) ||
		    (row->server && row->server->conn.state == state))
			return state;
	}
	return PD_STATE_CANDIDATE;
}

static __u32 engine_of(const struct row *row)
{
	return state_of(row) == PD_STATE_PAIRED ? either(row)->engine : PD_ENGINE_TCP;
}

/* Reason of the whole connection, PD_REASON_NONE if it is accelerated. */
static __u32 reason_of(const struct row *row)
{
	const struct pd_conn_record *ends[] = { row->server, row->client };

	for (int i = 0; i < 2; i++) {
		if (ends[i] && ends[i]->conn.reason &&
		    !pd_reason__of_direction(ends[i]->conn.reason))
			return ends[i]->conn.reason;
	}
	return PD_REASON_NONE;
}

/* Why the direction that @end sends in is on TCP now. */
static __u32 direction_reason(const struct pd_conn_record *end)
{
	if (!end || end->conn.path != PD_PATH_TCP || !pd_reason__of_direction(end->conn.reason))
		return PD_REASON_NONE;
	return end->conn.reason;
}

static const char *rule_of(const struct row *row, const struct pd_rules *rules)
{
	return pd_rules__name(rules, either(row)->generation, either(row)->rule);
}

/* ---- JSON --------------------------------------------------------------- */

/* @end is NULL for an end that the kernel does not list; @other is then what is known. */
static cJSON *end_json(const struct pd_conn_record *end, const struct pd_conn_record *other)
{
	cJSON *obj = cJSON_CreateObject();
	const struct pd_conn *conn;

	cJSON_AddBoolToObject(obj, "enrolled", is_enrolled(end));
	if (!end) {
		pd_endpoint__json_addr(obj, "address", "port", &other->conn.remote);
		pd_endpoint__json_owner(obj, other->conn.peer_cgroup_id);
		return obj;
	}
	conn = &end->conn;
	pd_endpoint__json_addr(obj, "address", "port", &conn->local);
	pd_endpoint__json_owner(obj, conn->cgroup_id);
	pd_endpoint__json_addr(obj, "peer_address", "peer_port", &conn->remote);
	pd_json__u64(obj, "netns", end->netns_cookie);
	pd_json__u64(obj, "cookie", conn->cookie);
	pd_json__string(obj, "role", pd_name__role(conn->key.role));
	pd_json__string(obj, "state", pd_name__state(conn->state));
	pd_json__string(obj, "tcp_state", pd_name__tcp_state(end->tcp_state));
	pd_json__string(obj, "path", pd_name__path(path_of(end)));
	pd_json__string(obj, "reason", pd_name__reason(conn->reason));
	pd_json__u64(obj, "redirected_bytes", conn->redirected_bytes);
	pd_json__u64(obj, "redirected_messages", conn->redirected_messages);
	pd_json__u64(obj, "tcp_bytes", conn->tcp_bytes);
	pd_json__u64(obj, "tcp_messages", conn->tcp_messages);
	pd_json__u64(obj, "overflows", conn->overflows);
	pd_json__u64(obj, "returns", conn->returns);
	pd_json__u64(obj, "unread", end->unread);
	return obj;
}

static void print_json(const struct row *rows, size_t nr, const struct pd_rules *rules)
{
	cJSON *array = cJSON_CreateArray();
	__u64 now = pd_time__now();

	for (size_t i = 0; i < nr; i++) {
		const struct row *row = &rows[i];
		cJSON *obj = cJSON_CreateObject();
		char text[PD_TIME_TEXT];

		pd_endpoint__json_id(obj, &either(row)->key);
		pd_json__string(obj, "opened", pd_format__time(text, opened(row)));
		cJSON_AddNumberToObject(obj, "age_seconds", (now - opened(row)) / 1000000000);
		pd_json__string(obj, "state", pd_name__state(state_of(row)));
		pd_json__string(obj, "engine", pd_name__engine(engine_of(row)));
		pd_json__string(obj, "reason", pd_name__reason(reason_of(row)));
		pd_json__string(obj, "rule", rule_of(row, rules));
		pd_json__u64(obj, "generation", either(row)->generation);
		cJSON_AddItemToObject(obj, "client", end_json(row->client, row->server));
		cJSON_AddItemToObject(obj, "server", end_json(row->server, row->client));
		cJSON_AddItemToArray(array, obj);
	}
	pd_json__print(array);
}

/* ---- text --------------------------------------------------------------- */

/* "redirected 1.2M", "tcp 8K, redirected 1.2M": the path of now comes first.
 * Without a count for a declined one.
 */
static void direction_cell(struct pd_table *table, const struct pd_conn_record *from)
{
	char now[PD_BYTES_TEXT], before[PD_BYTES_TEXT];
	__u32 path = path_of(from);
	bool redirected = path == PD_PATH_REDIRECTED;
	__u64 other;

	if (path == PD_PATH_NONE || from->conn.state == PD_STATE_DECLINED) {
		pd_table__cell(table, "%s", path == PD_PATH_NONE ? "" : pd_name__path(path));
		return;
	}
	pd_format__bytes(now, redirected ? from->conn.redirected_bytes : from->conn.tcp_bytes);
	other = redirected ? from->conn.tcp_bytes : from->conn.redirected_bytes;
	if (other)
		pd_table__cell(table, "%s %s, %s %s", pd_name__path(path), now,
			       redirected ? "tcp" : "redirected", pd_format__bytes(before, other));
	else
		pd_table__cell(table, "%s %s", pd_name__path(path), now);
}

static void reason_cell(struct pd_table *table, const struct row *row)
{
	__u32 to_server = direction_reason(row->client);
	__u32 to_client = direction_reason(row->server);

	if (reason_of(row))
		pd_table__cell(table, "%s", pd_name__reason(reason_of(row)));
	else if (to_server && to_server == to_client)
		pd_table__cell(table, "%s", pd_name__reason(to_server));
	else if (to_server && to_client)
		pd_table__cell(table, "%s to server, %s to client", pd_name__reason(to_server),
			       pd_name__reason(to_client));
	else if (to_server)
		pd_table__cell(table, "%s to server", pd_name__reason(to_server));
	else if (to_client)
		pd_table__cell(table, "%s to client", pd_name__reason(to_client));
	else
		pd_table__cell(table, "%s", "");
}

static void describe_end(const struct pd_conn_record *end, const struct pd_conn_record *other,
			 char addr[PD_ADDR_TEXT], char owner[PD_CGROUP_PATH])
{
	pd_format__addr(addr, end ? &end->conn.local : &other->conn.remote);
	snprintf(owner, PD_CGROUP_PATH, "%s",
		 pd_endpoint__owner(end ? end->conn.cgroup_id : other->conn.peer_cgroup_id));
}

static void print_table(const struct row *rows, size_t nr, const struct pd_rules *rules)
{
	struct pd_table *table = pd_table__new("CLIENT|SERVER|FROM|TO|STATE|ENGINE|TO SERVER|"
					       "TO CLIENT|>UNREAD|REASON|RULE|>AGE");
	__u64 now = pd_time__now();

	for (size_t i = 0; i < nr; i++) {
		const struct row *row = &rows[i];
		char client[PD_ADDR_TEXT], server[PD_ADDR_TEXT];
		char from[PD_CGROUP_PATH], to[PD_CGROUP_PATH];
		char unread[PD_BYTES_TEXT], age[PD_AGE_TEXT];
		const char *rule = rule_of(row, rules);

		describe_end(row->client, row->server, client, from);
		describe_end(row->server, row->client, server, to);
		pd_table__cell(table, "%s", client);
		pd_table__cell(table, "%s", server);
		pd_table__cell(table, "%s", from);
		pd_table__cell(table, "%s", to);
		pd_table__cell(table, "%s", pd_name__state(state_of(row)));
		pd_table__cell(table, "%s", pd_name__engine(engine_of(row)));
		direction_cell(table, row->client);
		direction_cell(table, row->server);
		pd_table__cell(table, "%s",
			       pd_format__bytes(unread,
						(__u64)(row->client ? row->client->unread : 0) +
							(row->server ? row->server->unread : 0)));
		reason_cell(table, row);
		pd_table__cell(table, "%s", rule ? rule : "");
		pd_table__cell(table, "%s", pd_format__age(age, (now - opened(row)) / 1000000000));
	}
	pd_table__print(table, stdout, 0);
	pd_table__free(table);
}

/* ------------------------------------------------------------------------- */

int pd_conns__main(int argc, char **argv)
{
	static const struct argp argp = {
		.children = pd_args_none,
		.doc = "List the connections that are enrolled, are candidates or were declined, "
		       "oldest first.\vEach direction shows its path now and the bytes it sent. "
		       "With --json both ends are shown in full.",
	};
	struct pd_conn_record *records = NULL;
	const struct pd_control *control;
	struct pd_rules rules = { 0 };
	struct row *rows = NULL;
	size_t nr, nr_rows;
	int rc;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	rc = pd_pins__require();
	if (rc)
		return rc;
	control = pd_pins__control();
	if (!control || pd_pins__conns(&records, &nr) || pd_rules__refresh(&rules, control)) {
		rc = PD_EXIT_FAILED;
		goto out;
	}
	rows = join(records, nr, &nr_rows);
	if (!rows) {
		p_err("can't list %zu sockets: %s", nr, strerror(ENOMEM));
		rc = PD_EXIT_FAILED;
		goto out;
	}
	if (pd_json)
		print_json(rows, nr_rows, &rules);
	else
		print_table(rows, nr_rows, &rules);
out:
	free(rows);
	free(records);
	pd_rules__free(&rules);
	return rc;
}
