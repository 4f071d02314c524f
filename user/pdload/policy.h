/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy: read from YAML, held as rules and globs, installed into maps. */
#ifndef PD_POLICY_H
#define PD_POLICY_H

#include "pdload.h"

struct cJSON;

struct pd_policy {
	struct pd_rule rules[PD_MAX_RULES + 1]; /* the last is "default" */
	__u32 nr_rules; /* the default rule included: at least 1 */
	struct pd_glob *globs; /* nr_globs of them */
	__u32 nr_globs;
};

/* Where and why a policy file is refused; line and column count from 1. */
struct pd_policy_error {
	char text[1536]; /* "FILE:LINE:COLUMN: what was found; expected ..." */
};

/* Parse @len bytes of YAML; @file is for messages. Does not touch the kernel.
 * Container names are resolved by @resolve (NULL: pd_container__id()), which
 * returns 0 and a 64-digit id, or -errno. Returns NULL and fills @err.
 */
typedef int (*pd_resolve_fn)(const char *name, char id[65]);
struct pd_policy *pd_policy__parse(const char *file, const char *text, size_t len,
				   pd_resolve_fn resolve, struct pd_policy_error *err);
struct pd_policy *pd_policy__parse_file(const char *file, pd_resolve_fn resolve,
					struct pd_policy_error *err);
/* The policy of no file: no rule, and @action as the default. */
struct pd_policy *pd_policy__builtin(enum pd_action action);
void pd_policy__free(struct pd_policy *policy);

/* Compile a cgroup pattern. Returns 0 or -errno (-E2BIG: too many tokens,
 * -EINVAL: syntax) and *why in words.
 */
int pd_glob__compile(struct pd_glob *glob, const char *text, const char **why);
/* The automaton in C, as the BPF program runs it: for tests and check. */
bool pd_glob__match(const struct pd_glob *glob, const char *path);

/* Make the inner maps of @generation and put them into the outer maps
 * pd_rules and pd_globs. The programs do not look at them until
 * pd_control.generation says so. Returns 0 or -errno after p_err().
 */
int pd_policy__install(const struct pd_policy *policy, int rules_fd, int globs_fd,
		       __u64 generation);
/* Take @generation out of the outer maps; waits for programs that use it. */
void pd_policy__remove(int rules_fd, int globs_fd, __u64 generation);
/* Take out every generation but @keep: what an `apply` that was killed left. */
void pd_policy__prune(int rules_fd, int globs_fd, __u64 keep);
/* Return when every BPF program that runs now has ended: an update of a map of
 * maps waits for them. @generation is one that is installed. 0 or -errno.
 */
int pd_policy__wait_for_programs(int rules_fd, __u64 generation);
/* Read the installed rules of @generation back from the kernel. NULL after
 * p_err().
 */
struct pd_policy *pd_policy__read(int rules_fd, int globs_fd, __u64 generation);

/* ---- policy_print.c ---- */

/* The rules in order, and each with its entry of @stats unless that is NULL. */
void pd_policy__print(const struct pd_policy *policy, const struct pd_rule_stats *stats, FILE *out);
/* The same as {"default", "rules"}, the default rule the last of them, added to
 * @obj.
 */
void pd_policy__to_json(const struct pd_policy *policy, const struct pd_rule_stats *stats,
			struct cJSON *obj);

#endif /* PD_POLICY_H */
