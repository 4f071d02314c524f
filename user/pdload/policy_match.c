/* SPDX-License-Identifier: GPL-2.0-only */
/* What a rule asks of one end: cgroups, containers, networks, ports. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy_parse.h"

#define ID_LEN 64 /* digits of a container's id */
#define CONTAINER "container:" /* how the text of its glob begins */

/* One match of a rule, while it is read. */
struct end {
	struct pd_rule *rule;
	struct pd_match *match;
	const char *cgroups_by; /* the key that named them, or NULL */
};

/* @read for the value of @key, or for each in a list of them. */
static int read_each(struct pd_parser *p, const struct pd_yaml *key, struct end *end,
		     int (*read)(struct pd_parser *p, const struct pd_yaml *node, struct end *end))
{
	const struct pd_yaml *node = key->value;
	int err = 0;

	if (node->kind != PD_YAML_LIST)
		return read(p, node, end);
	if (!node->first)
		return pd_parser__refuse(
			p, node, "found an empty list; expected at least one value for \"%s\"",
			key->text);
	for (node = node->first; node && !err; node = node->next)
		err = read(p, node, end);
	return err;
}

/* Let @match ask for the cgroups of @pattern, which messages call @text. */
static int add_glob(struct pd_parser *p, const struct pd_yaml *node, struct pd_match *match,
		    const char *pattern, const char *text)
{
	struct pd_policy *policy = p->policy;
	struct pd_glob *globs;
	struct pd_parser_shown buf;
	const char *why;
	__u32 i;
	int err;

	for (i = 0; i < policy->nr_globs; i++)
		if (!strcmp(policy->globs[i].text, text))
			break;
	if (i == policy->nr_globs) {
		if (i == PD_MAX_GLOBS)
			return pd_parser__refuse(
				p, node,
				"found one cgroup pattern or container too many; expected at "
				"most %d different ones in a policy",
				PD_MAX_GLOBS);
		globs = realloc(policy->globs, (i + 1) * sizeof(*globs));
		if (!globs)
			return pd_parser__no_memory(p);
		policy->globs = globs;
		err = pd_glob__compile(&globs[i], pattern, &why);
		if (err)
			return pd_parser__refuse(p, node, "in the cgroup pattern %s found %s",
						 pd_parser__show(node, &buf), why);
		snprintf(globs[i].text, sizeof(globs[i].text), "%s", text);
		policy->nr_globs++;
	}
	match->cgroups |= 1ULL << i;
	match->has_cgroups = 1;
	return 0;
}

static int read_cgroup(struct pd_parser *p, const struct pd_yaml *node, struct end *end)
{
	const char *text =
		pd_parser__text(p, node, "a cgroup pattern such as \"/machine.slice/**\"");

	return text ? add_glob(p, node, end->match, text, text) : -EINVAL;
}

static bool is_container_name(const char *name)
{
	static const char alnum[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t first = strspn(name, alnum);

	if (!first || strlen(name) > PD_GLOB_TEXT - sizeof(CONTAINER))
		return false;
	for (name += first; *name; name++)
		if (!strchr(alnum, *name) && !strchr("_.-", *name))
			return false;
	return true;
}

static int read_container(struct pd_parser *p, const struct pd_yaml *node, struct end *end)
{
	const char *name = pd_parser__text(p, node, "the name of a container");
	char id[ID_LEN + 1], pattern[ID_LEN + 5], text[PD_GLOB_TEXT];
	struct pd_parser_shown buf;
	int err;

	if (!name)
		return -EINVAL;
	if (!is_container_name(name))
		return pd_parser__refuse(
			p, node,
			"found %s; expected the name of a container: letters, digits, '_', '.' "
			"and '-', the first a letter or digit",
			pd_parser__show(node, &buf));
	err = p->resolve(name, id);
	if (err == -ENOENT)
		return pd_parser__refuse(
			p, node,
			"found no container named %s; expected one that podman or docker knows "
			"(create it first, it need not run)",
			pd_parser__show(node, &buf));
	if (err)
		return pd_parser__refuse(
			p, node,
			"container %s cannot be looked up: %s; expected podman or docker to "
			"answer%s (try `podman ps -a`)",
			pd_parser__show(node, &buf),
			err == -EIO ? "podman or docker failed" : strerror(-err),
			geteuid() ? ", which takes root for root's containers" : "");
	if (strlen(id) != ID_LEN || strspn(id, "0123456789abcdef") != ID_LEN)
		return pd_parser__refuse(p, node,
					 "container %s has an id that is not 64 digits of base 16",
					 pd_parser__show(node, &buf));
	snprintf(pattern, sizeof(pattern), "**%s**", id);
	snprintf(text, sizeof(text), CONTAINER "%s", name);
	return add_glob(p, node, end->match, pattern, text);
}

/* Decimal without sign, blank or leading zero, up to @max; else -1. */
static long number(const char *text, size_t len, long max)
{
	long value = 0;
	size_t i;

	if (!len || len > 5 || (text[0] == '0' && len > 1))
		return -1;
	for (i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = 10 * value + text[i] - '0';
	}
	return value <= max ? value : -1;
}

/* Clears the host bits of @cidr; true if one was set. */
static bool clear_host_bits(struct pd_cidr *cidr)
{
	bool had = false;
	int i;

	for (i = 0; i < 4; i++) {
		had |= cidr->ip[i] & ~cidr->mask[i];
		cidr->ip[i] &= cidr->mask[i];
	}
	return had;
}

static void set_mask(struct pd_cidr *cidr, int bits)
{
	int i;

	for (i = 0; i < 4; i++, bits -= 32)
		cidr->mask[i] = bits >= 32 ? ~0U : bits > 0 ? htonl(~0U << (32 - bits)) : 0;
}

static int read_cidr(struct pd_parser *p, const struct pd_yaml *node, struct end *end)
{
	static const char expected[] = "a network such as 10.88.0.0/16 or \"fd00::/8\"";
	const char *text = pd_parser__text(p, node, expected);
	struct pd_match *match = end->match;
	char ip[INET6_ADDRSTRLEN];
	struct pd_cidr cidr = { 0 };
	struct pd_parser_shown buf;
	size_t len;
	bool v4;
	long bits;

	if (!text)
		return -EINVAL;
	len = strcspn(text, "/");
	snprintf(ip, sizeof(ip), "%.*s", (int)(len < sizeof(ip) ? len : 0), text);
	v4 = inet_pton(AF_INET, ip, &cidr.ip[3]) == 1;
	if (v4)
		cidr.ip[2] = htonl(0xffff);
	else if (inet_pton(AF_INET6, ip, cidr.ip) != 1)
		return pd_parser__refuse(p, node, "found %s; expected %s",
					 pd_parser__show(node, &buf), expected);
	if (!text[len])
		return pd_parser__refuse(p, node,
					 "found the address %s; expected a network: \"%s/%d\"",
					 pd_parser__show(node, &buf), ip, v4 ? 32 : 128);
	bits = number(text + len + 1, strlen(text + len + 1), v4 ? 32 : 128);
	if (bits < 0)
		return pd_parser__refuse(
			p, node, "found %s; expected a prefix length from 0 to %d after the '/'",
			pd_parser__show(node, &buf), v4 ? 32 : 128);
	set_mask(&cidr, v4 ? bits + 96 : bits);
	if (clear_host_bits(&cidr)) {
		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &cidr.ip[3] : cidr.ip, ip, sizeof(ip));
		return pd_parser__refuse(p, node,
					 "found %s, which has host bits set; expected \"%s/%ld\"",
					 pd_parser__show(node, &buf), ip, bits);
	}
	if (match->nr_cidrs == PD_MAX_CIDRS)
		return pd_parser__refuse(
			p, node, "found one network too many; expected at most %d in one match",
			PD_MAX_CIDRS);
	match->cidrs[match->nr_cidrs++] = cidr;
	return 0;
}

static int read_port(struct pd_parser *p, const struct pd_yaml *node, struct end *end)
{
	static const char expected[] = "a port from 1 to 65535, or a range such as \"8000-8100\"";
	const char *text = pd_parser__text(p, node, expected);
	struct pd_rule *rule = end->rule;
	struct pd_parser_shown buf;
	const char *dash;
	long first, last;

	if (!text)
		return -EINVAL;
	dash = strchr(text, '-');
	first = number(text, dash ? (size_t)(dash - text) : strlen(text), 65535);
	last = dash ? number(dash + 1, strlen(dash + 1), 65535) : first;
	if (first < 1 || last < 1)
		return pd_parser__refuse(p, node, "found %s; expected %s",
					 pd_parser__show(node, &buf), expected);
	if (first > last)
		return pd_parser__refuse(p, node,
					 "found %s, whose first port is above its last; expected "
					 "\"%ld-%ld\"",
					 pd_parser__show(node, &buf), last, first);
	if (rule->nr_ports == PD_MAX_PORTS)
		return pd_parser__refuse(
			p, node,
			"found one port or range too many; expected at most %d in one rule",
			PD_MAX_PORTS);
	rule->ports[rule->nr_ports++] = (struct pd_ports){ .first = first, .last = last };
	return 0;
}

/* The pattern of a container is a cgroup pattern, too: with both in one match
 * nobody could say whether one or both must hold.
 */
static int read_cgroups(struct pd_parser *p, const struct pd_yaml *key, struct end *end,
			int (*read)(struct pd_parser *, const struct pd_yaml *, struct end *))
{
	if (end->cgroups_by)
		return pd_parser__refuse(p, key,
					 "found the key \"%s\" beside \"%s\"; expected cgroup or "
					 "container, not both",
					 key->text, end->cgroups_by);
	end->cgroups_by = key->text;
	return read_each(p, key, end, read);
}

static int read_cgroup_key(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	return read_cgroups(p, key, into, read_cgroup);
}

static int read_container_key(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	return read_cgroups(p, key, into, read_container);
}

static int read_cidr_key(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	return read_each(p, key, into, read_cidr);
}

static int read_ports_key(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	return read_each(p, key, into, read_port);
}

/* Of the client the first three: which port it uses is chance. */
static const struct pd_parser_field end_fields[] = {
	{ "cgroup", read_cgroup_key, false },
	{ "container", read_container_key, false },
	{ "cidr", read_cidr_key, false },
	{ "ports", read_ports_key, false },
};

/* An end that asks for nothing would match all, which no one writes on purpose. */
static int read_end(struct pd_parser *p, const struct pd_yaml *key, struct end *end,
		    size_t nr_fields)
{
	if (key->value->kind == PD_YAML_MAP && !key->value->first)
		return pd_parser__refuse(
			p, key->value,
			"found an empty mapping; expected at least one key, such as cgroup");
	return pd_parser__map(p, key->value, key->text, end_fields, nr_fields, end);
}

int pd_match__read_client(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	struct pd_rule *rule = into;
	struct end end = { .rule = rule, .match = &rule->client };

	return read_end(p, key, &end, 3);
}

int pd_match__read_server(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	struct pd_rule *rule = into;
	struct end end = { .rule = rule, .match = &rule->server };

	return read_end(p, key, &end, 4);
}
