/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules that are in force, for those who read counters and connections. */
#ifndef PD_RULES_H
#define PD_RULES_H

#include "policy.h"

/* The rules of one generation; zeroed before the first use. */
struct pd_rules {
	__u64 generation;
	struct pd_policy *policy; /* NULL if nothing has been read */
};

/* Have the rules of the generation in force, read again only if it has
 * changed. Returns 0 or -errno after p_err(); then @rules are as before.
 */
int pd_rules__refresh(struct pd_rules *rules, const struct pd_control *control);
/* Name of the rule at @index of @generation; NULL if that is another one. */
const char *pd_rules__name(const struct pd_rules *rules, __u64 generation, __u32 index);
void pd_rules__free(struct pd_rules *rules);

#endif /* PD_RULES_H */
