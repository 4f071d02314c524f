/* SPDX-License-Identifier: GPL-2.0-only */
/* One small YAML document as a tree whose nodes know where they stand. */
#ifndef PD_POLICY_YAML_H
#define PD_POLICY_YAML_H

#include "policy.h"

#define PD_YAML_BYTES (1U << 20) /* of the file */
#define PD_YAML_NODES 32768
#define PD_YAML_DEPTH 8

enum pd_yaml_kind {
	PD_YAML_TEXT,
	PD_YAML_LIST,
	PD_YAML_MAP,
};

/* Children of a map are its keys, in order; each key has a value. */
struct pd_yaml {
	enum pd_yaml_kind kind;
	size_t line; /* both from 1 */
	size_t column;
	bool plain; /* text without quotes */
	char *text; /* NUL-terminated; may hold NULs before its end */
	size_t len;
	struct pd_yaml *value; /* of a key */
	struct pd_yaml *first; /* child */
	struct pd_yaml *next; /* sibling */
};

/* The only document of @len bytes at @text. Anchors, aliases, tags, directives
 * and whatever exceeds the limits above are refused. NULL with @err filled.
 */
struct pd_yaml *pd_yaml__load(const char *file, const char *text, size_t len,
			      struct pd_policy_error *err);
void pd_yaml__free(struct pd_yaml *node);

/* "FILE:LINE:COLUMN: " and the sentence. */
void pd_yaml__refuse(struct pd_policy_error *err, const char *file, size_t line, size_t column,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif /* PD_POLICY_YAML_H */
