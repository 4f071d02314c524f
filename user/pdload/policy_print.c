/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy means, for people and as JSON. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "format.h"
#include "json.h"
#include "policy.h"

#define CONTAINER "container:"
#define ID_LEN 64
#define CIDR_TEXT (INET6_ADDRSTRLEN + 12)

/* The name of the container whose id @glob looks for, or NULL. */
static const char *container_of(const struct pd_glob *glob)
{
	size_t len = strlen(CONTAINER);

	return strncmp(glob->text, CONTAINER, len) ? NULL : glob->text + len;
}

/* The id, from the automaton itself: what the kernel really looks for. */
static void container_id(const struct pd_glob *glob, char id[ID_LEN + 1])
{
	int i, c;

	for (i = 0; i < ID_LEN; i++) {
		id[i] = '?';
		for (c = 1; c < 256; c++)
			if (glob->step[c][i / 64] >> i % 64 & 1)
				id[i] = c;
	}
	id[ID_LEN] = '\0';
}

static const char *cidr_text(const struct pd_cidr *cidr, char text[CIDR_TEXT])
{
	bool v4 = cidr->mask[0] && !cidr->ip[0] && !cidr->ip[1] && cidr->ip[2] == htonl(0xffff);
	char ip[INET6_ADDRSTRLEN];
	int bits = 0, i;

	for (i = 0; i < 4; i++)
		bits += __builtin_popcount(cidr->mask[i]);
	v4 = v4 && bits >= 96;
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &cidr->ip[3] : cidr->ip, ip, sizeof(ip));
	snprintf(text, CIDR_TEXT, "%s/%d", ip, v4 ? bits - 96 : bits);
	return text;
}

static void ports_text(const struct pd_ports *ports, char text[16])
{
	if (ports->first == ports->last)
		snprintf(text, 16, "%u", ports->first);
	else
		snprintf(text, 16, "%u-%u", ports->first, ports->last);
}

/* ---- text ----------------------------------------------------------------- */

/* "client: cgroup /a or /b, cidr 10.0.0.0/8" on a line; nothing if it asks
 * for nothing.
 */
static void print_end(const struct pd_policy *policy, const char *who, const struct pd_match *match,
		      const struct pd_rule *ports_of, FILE *out)
{
	const char *sep = "";
	char text[CIDR_TEXT], id[ID_LEN + 1];
	bool first = true;
	__u32 i;

	if (!match->has_cgroups && !match->nr_cidrs && !(ports_of && ports_of->nr_ports))
		return;
	fprintf(out, "      %s: ", who);
	for (i = 0; match->has_cgroups && i < policy->nr_globs; i++) {
		const struct pd_glob *glob = &policy->globs[i];
		const char *name = container_of(glob);

		if (!(match->cgroups >> i & 1))
			continue;
		fputs(first ? name ? "container " : "cgroup " : " or ", out);
		first = false;
		sep = ", ";
		if (name) {
			container_id(glob, id);
			fprintf(out, "%s (%.12s)", name, id);
		} else {
			fputs(glob->text, out);
		}
	}
	for (i = 0; i < match->nr_cidrs; i++) {
		fprintf(out, "%s%s", i ? " or " : sep, i ? "" : "cidr ");
		fputs(cidr_text(&match->cidrs[i], text), out);
		sep = ", ";
	}
	for (i = 0; ports_of && i < ports_of->nr_ports; i++) {
		fprintf(out, "%s%s", i ? " or " : sep, i ? "" : "port ");
		ports_text(&ports_of->ports[i], text);
		fputs(text, out);
	}
	fputc('\n', out);
}

static void print_counters(const struct pd_policy *policy, const struct pd_rule_stats *stats,
			   FILE *out)
{
	struct pd_table *table =
		pd_table__new("RULE|ACTION|>ACCELERATED|>BYPASSED|>REDIRECTED|>TCP");
	char redirected[PD_BYTES_TEXT], tcp[PD_BYTES_TEXT];
	__u32 i;

	for (i = 0; i < policy->nr_rules; i++) {
		const struct pd_rule *rule = &policy->rules[i];

		pd_table__cell(table, "%s", rule->name);
		pd_table__cell(table, "%s", pd_name__action(rule->action));
		pd_table__cell(table, "%llu", (unsigned long long)stats[i].accelerated);
		pd_table__cell(table, "%llu", (unsigned long long)stats[i].bypassed);
		pd_table__cell(table, "%s",
			       pd_format__bytes(redirected, stats[i].redirected_bytes));
		pd_table__cell(table, "%s", pd_format__bytes(tcp, stats[i].tcp_bytes));
	}
	pd_table__print(table, out, 0);
	pd_table__free(table);
}

void pd_policy__print(const struct pd_policy *policy, const struct pd_rule_stats *stats, FILE *out)
{
	__u32 last = policy->nr_rules - 1, i;

	for (i = 0; i < last; i++) {
		const struct pd_rule *rule = &policy->rules[i];

		fprintf(out, "  %u. %s: %s\n", i + 1, rule->name, pd_name__action(rule->action));
		print_end(policy, "client", &rule->client, NULL, out);
		print_end(policy, "server", &rule->server, rule, out);
	}
	fprintf(out, "  %s: %s\n", last ? "otherwise" : "all connections",
		pd_name__action(policy->rules[last].action));
	if (!stats)
		return;
	fputc('\n', out);
	print_counters(policy, stats, out);
	fputs("Connections are counted with both ends here, bytes when a connection has closed.\n",
	      out);
}

/* ---- JSON ----------------------------------------------------------------- */

static cJSON *array_in(cJSON *obj, const char *name)
{
	cJSON *array = cJSON_GetObjectItemCaseSensitive(obj, name);

	return array ? array : cJSON_AddArrayToObject(obj, name);
}

static cJSON *end_json(const struct pd_policy *policy, const struct pd_match *match)
{
	cJSON *obj = cJSON_CreateObject(), *container;
	char text[CIDR_TEXT], id[ID_LEN + 1];
	__u32 i;

	for (i = 0; match->has_cgroups && i < policy->nr_globs; i++) {
		const struct pd_glob *glob = &policy->globs[i];
		const char *name = container_of(glob);

		if (!(match->cgroups >> i & 1))
			continue;
		if (name) {
			container_id(glob, id);
			container = cJSON_CreateObject();
			cJSON_AddStringToObject(container, "name", name);
			cJSON_AddStringToObject(container, "id", id);
			cJSON_AddItemToArray(array_in(obj, "container"), container);
		} else {
			cJSON_AddItemToArray(array_in(obj, "cgroup"),
					     cJSON_CreateString(glob->text));
		}
	}
	for (i = 0; i < match->nr_cidrs; i++)
		cJSON_AddItemToArray(array_in(obj, "cidr"),
				     cJSON_CreateString(cidr_text(&match->cidrs[i], text)));
	return obj;
}

static cJSON *rule_json(const struct pd_policy *policy, const struct pd_rule *rule,
			const struct pd_rule_stats *stats)
{
	cJSON *obj = cJSON_CreateObject(), *server;
	char text[16];
	__u32 i;

	cJSON_AddStringToObject(obj, "name", rule->name);
	cJSON_AddStringToObject(obj, "action", pd_name__action(rule->action));
	cJSON_AddItemToObject(obj, "client", end_json(policy, &rule->client));
	server = end_json(policy, &rule->server);
	for (i = 0; i < rule->nr_ports; i++) {
		ports_text(&rule->ports[i], text);
		cJSON_AddItemToArray(array_in(server, "ports"), cJSON_CreateString(text));
	}
	cJSON_AddItemToObject(obj, "server", server);
	if (!stats)
		return obj;
	pd_json__u64(obj, "accelerated", stats->accelerated);
	pd_json__u64(obj, "bypassed", stats->bypassed);
	pd_json__u64(obj, "redirected_bytes", stats->redirected_bytes);
	pd_json__u64(obj, "tcp_bytes", stats->tcp_bytes);
	return obj;
}

void pd_policy__to_json(const struct pd_policy *policy, const struct pd_rule_stats *stats,
			struct cJSON *obj)
{
	__u32 last = policy->nr_rules - 1, i;
	cJSON *rules;

	cJSON_AddStringToObject(obj, "default", pd_name__action(policy->rules[last].action));
	rules = cJSON_AddArrayToObject(obj, "rules");
	for (i = 0; i <= last; i++)
		cJSON_AddItemToArray(rules, rule_json(policy, &policy->rules[i],
						      stats ? &stats[i] : NULL));
}
