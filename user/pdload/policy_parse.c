/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy file to rules: what each key may hold, and what is said if it does
 * not. A file is taken whole or refused whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "policy_parse.h"

/* ---- for all readers ------------------------------------------------------ */

int pd_parser__refuse(struct pd_parser *p, const struct pd_yaml *node, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pd_yaml__refuse(p->err, p->file, node->line, node->column, "%s", text);
	return -EINVAL;
}

int pd_parser__no_memory(struct pd_parser *p)
{
	snprintf(p->err->text, sizeof(p->err->text), "%.1000s: out of memory", p->file);
	return -ENOMEM;
}

static bool is_null(const struct pd_yaml *node)
{
	return node->kind == PD_YAML_TEXT && node->plain &&
	       (!node->len || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

const char *pd_parser__show(const struct pd_yaml *node, struct pd_parser_shown *buf)
{
	size_t i, len = node->len < PD_SHOWN ? node->len : PD_SHOWN;

	if (node->kind == PD_YAML_LIST)
		return "a list";
	if (node->kind == PD_YAML_MAP)
		return "a mapping";
	if (is_null(node))
		return "nothing";
	buf->text[0] = '"';
	for (i = 0; i < len; i++) {
		char c = node->text[i];

		buf->text[i + 1] = c >= ' ' && c < 0x7f ? c : '?';
	}
	strcpy(buf->text + len + 1, len < node->len ? "...\"" : "\"");
	return buf->text;
}

const char *pd_parser__text(struct pd_parser *p, const struct pd_yaml *node, const char *expected)
{
	struct pd_parser_shown buf;

	if (node->kind == PD_YAML_TEXT && !is_null(node) && strlen(node->text) == node->len)
		return node->text;
	pd_parser__refuse(p, node, "found %s; expected %s", pd_parser__show(node, &buf), expected);
	return NULL;
}

/* "a, b or c" */
static void list_fields(char *buf, size_t size, const struct pd_parser_field *fields, size_t nr)
{
	size_t i, at = 0;

	for (i = 0; i < nr && at < size; i++) {
		const char *before = !i ? "" : i + 1 < nr ? ", " : " or ";

		at += snprintf(buf + at, size - at, "%s%s", before, fields[i].name);
	}
}

static const struct pd_parser_field *find_field(const struct pd_parser_field *fields, size_t nr,
						const struct pd_yaml *key)
{
	size_t i;

	if (key->kind == PD_YAML_TEXT)
		for (i = 0; i < nr; i++)
			if (!strcmp(fields[i].name, key->text) && strlen(key->text) == key->len)
				return &fields[i];
	return NULL;
}

int pd_parser__map(struct pd_parser *p, const struct pd_yaml *map, const char *what,
		   const struct pd_parser_field *fields, size_t nr, void *into)
{
	const struct pd_yaml *seen[8] = { NULL }, *key;
	char names[96];
	struct pd_parser_shown buf;
	size_t i;
	int err;

	list_fields(names, sizeof(names), fields, nr);
	if (map->kind != PD_YAML_MAP)
		return pd_parser__refuse(p, map,
					 "found %s; expected %s: a mapping with the keys %s",
					 pd_parser__show(map, &buf), what, names);
	for (key = map->first; key; key = key->next) {
		const struct pd_parser_field *field = find_field(fields, nr, key);

		if (!field) {
			bool named = key->kind == PD_YAML_TEXT && !is_null(key);

			return pd_parser__refuse(p, key, "found %s%s%s; expected %s in %s",
						 named ? "the key " : "",
						 pd_parser__show(key, &buf),
						 named ? "" : " as a key", names, what);
		}
		i = field - fields;
		if (seen[i])
			return pd_parser__refuse(
				p, key,
				"found the key \"%s\" again, first on line %zu; expected it "
				"once in %s",
				field->name, seen[i]->line, what);
		seen[i] = key;
		err = field->read(p, key, into);
		if (err)
			return err;
	}
	for (i = 0; i < nr; i++)
		if (fields[i].required && !seen[i])
			return pd_parser__refuse(p, map, "found no key \"%s\"; expected one in %s",
						 fields[i].name, what);
	return 0;
}

/* ---- rules ---------------------------------------------------------------- */

static int read_name(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	static const char expected[] = "a rule name: letters, digits, '_', '.' and '-'";
	const char *name = pd_parser__text(p, key->value, expected);
	const struct pd_rule *other;
	struct pd_rule *rule = into;
	struct pd_parser_shown buf;

	if (!name)
		return -EINVAL;
	if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
					"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")])
		return pd_parser__refuse(p, key->value, "found %s; expected %s",
					 pd_parser__show(key->value, &buf), expected);
	if (strlen(name) >= PD_NAME_LEN)
		return pd_parser__refuse(p, key->value,
					 "found a name of %zu characters; expected at most %d",
					 strlen(name), PD_NAME_LEN - 1);
	if (!strcmp(name, "default"))
		return pd_parser__refuse(p, key->value,
					 "found \"default\", which is the name of what decides "
					 "when no rule matches; expected another name");
	for (other = p->policy->rules; other != rule; other++)
		if (!strcmp(other->name, name))
			return pd_parser__refuse(
				p, key->value,
				"found a second rule named \"%s\"; expected each name once", name);
	strcpy(rule->name, name);
	return 0;
}

static int read_action(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	const char *text = pd_parser__text(p, key->value, "accelerate or bypass");
	struct pd_rule *rule = into;
	struct pd_parser_shown buf;

	if (!text)
		return -EINVAL;
	if (!strcmp(text, "accelerate"))
		rule->action = PD_ACTION_ACCELERATE;
	else if (!strcmp(text, "bypass"))
		rule->action = PD_ACTION_BYPASS;
	else
		return pd_parser__refuse(p, key->value, "found %s; expected accelerate or bypass",
					 pd_parser__show(key->value, &buf));
	return 0;
}

static const struct pd_parser_field rule_fields[] = {
	{ "name", read_name, true },
	{ "action", read_action, true },
	{ "client", pd_match__read_client, false },
	{ "server", pd_match__read_server, false },
};

/* ---- the file ------------------------------------------------------------- */

static int read_version(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	const struct pd_yaml *node = key->value;
	struct pd_parser_shown buf;

	if (node->kind == PD_YAML_TEXT && node->plain && node->len == 1 && *node->text == '1')
		return 0;
	return pd_parser__refuse(p, node,
				 "found %s; expected the number 1, the only version there is",
				 pd_parser__show(node, &buf));
}

static int read_default(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	return read_action(p, key, into);
}

static int read_rules(struct pd_parser *p, const struct pd_yaml *key, void *into)
{
	struct pd_policy *policy = p->policy;
	const struct pd_yaml *node;
	struct pd_parser_shown buf;
	int err;

	if (key->value->kind != PD_YAML_LIST)
		return pd_parser__refuse(p, key->value,
					 "found %s; expected a list of rules, each \"- name: ...\"",
					 pd_parser__show(key->value, &buf));
	for (node = key->value->first; node; node = node->next) {
		if (policy->nr_rules == PD_MAX_RULES)
			return pd_parser__refuse(p, node,
						 "found one rule too many; expected at most %d",
						 PD_MAX_RULES);
		err = pd_parser__map(p, node, "a rule", rule_fields, 4,
				     &policy->rules[policy->nr_rules]);
		if (err)
			return err;
		policy->nr_rules++;
	}
	return 0;
}

static const struct pd_parser_field root_fields[] = {
	{ "version", read_version, true },
	{ "default", read_default, false },
	{ "rules", read_rules, false },
};

static void close_rules(struct pd_policy *policy, __u32 action)
{
	struct pd_rule *last = &policy->rules[policy->nr_rules++];

	strcpy(last->name, "default");
	last->action = action;
}

struct pd_policy *pd_policy__parse(const char *file, const char *text, size_t len,
				   pd_resolve_fn resolve, struct pd_policy_error *err)
{
	struct pd_parser p = { .file = file, .err = err };
	struct pd_rule fallback = { .action = PD_ACTION_BYPASS };
	struct pd_yaml *root;
	int failed;

	p.resolve = resolve ? resolve : pd_container__id;
	root = pd_yaml__load(file, text, len, err);
	if (!root)
		return NULL;
	p.policy = calloc(1, sizeof(*p.policy));
	if (!p.policy)
		failed = pd_parser__no_memory(&p);
	else
		failed = pd_parser__map(&p, root, "a policy", root_fields, 3, &fallback);
	pd_yaml__free(root);
	if (failed) {
		pd_policy__free(p.policy);
		return NULL;
	}
	close_rules(p.policy, fallback.action);
	return p.policy;
}

/* Up to one byte more than a policy may have. */
static char *read_file(const char *file, size_t *len)
{
	size_t size = PD_YAML_BYTES + 1;
	char *text = malloc(size);
	ssize_t got = 1;
	int fd, err;

	fd = text ? open(file, O_RDONLY | O_CLOEXEC) : -1;
	for (*len = 0; fd >= 0 && got > 0 && *len < size; *len += got) {
		do
			got = read(fd, text + *len, size - *len);
		while (got < 0 && errno == EINTR);
		if (got < 0)
			break;
	}
	err = errno;
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && got >= 0)
		return text;
	free(text);
	errno = err;
	return NULL;
}

struct pd_policy *pd_policy__parse_file(const char *file, pd_resolve_fn resolve,
					struct pd_policy_error *err)
{
	struct pd_policy *policy;
	size_t len;
	char *text;

	text = read_file(file, &len);
	if (!text) {
		snprintf(err->text, sizeof(err->text),
			 "%.1000s: cannot be read: %s; expected a policy file", file,
			 strerror(errno));
		return NULL;
	}
	policy = pd_policy__parse(file, text, len, resolve, err);
	free(text);
	return policy;
}

struct pd_policy *pd_policy__builtin(enum pd_action action)
{
	struct pd_policy *policy = calloc(1, sizeof(*policy));

	if (policy)
		close_rules(policy, action);
	return policy;
}

void pd_policy__free(struct pd_policy *policy)
{
	if (!policy)
		return;
	free(policy->globs);
	free(policy);
}
