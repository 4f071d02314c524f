/* SPDX-License-Identifier: GPL-2.0-only */
/* What the readers of a policy file's parts share. Each returns 0, or -errno
 * after it has said in p->err what was found, where, and what was expected.
 */
#ifndef PD_POLICY_PARSE_H
#define PD_POLICY_PARSE_H

#include "policy.h"
#include "policy_yaml.h"

#define PD_SHOWN 48 /* bytes of a value in a message */

struct pd_parser {
	const char *file;
	pd_resolve_fn resolve;
	struct pd_policy *policy;
	struct pd_policy_error *err;
};

/* A key of a mapping and who reads its value. */
struct pd_parser_field {
	const char *name;
	int (*read)(struct pd_parser *p, const struct pd_yaml *key, void *into);
	bool required;
};

struct pd_parser_shown {
	char text[PD_SHOWN + 8];
};

int pd_parser__refuse(struct pd_parser *p, const struct pd_yaml *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int pd_parser__no_memory(struct pd_parser *p);

/* @node in a few words, fit for a terminal. */
const char *pd_parser__show(const struct pd_yaml *node, struct pd_parser_shown *buf);

/* The text of @node; NULL after a refusal that says what was @expected. */
const char *pd_parser__text(struct pd_parser *p, const struct pd_yaml *node, const char *expected);

/* A mapping, called @what in messages: each key once, none but @fields. */
int pd_parser__map(struct pd_parser *p, const struct pd_yaml *map, const char *what,
		   const struct pd_parser_field *fields, size_t nr, void *into);

/* ---- policy_match.c ---- */

/* The value of the key client or server, into the rule. */
int pd_match__read_client(struct pd_parser *p, const struct pd_yaml *key, void *rule);
int pd_match__read_server(struct pd_parser *p, const struct pd_yaml *key, void *rule);

#endif /* PD_POLICY_PARSE_H */
