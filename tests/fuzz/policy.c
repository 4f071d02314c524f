/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: the policy parser, and the patterns of what it accepts.
 * Nothing here reaches the kernel's BPF or starts a process.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every name that does not begin with 'n' is that of a container. */
static int resolve(const char *name, char id[65])
{
	if (name[0] == 'n')
		return name[1] == 'o' ? -ENOENT : -EIO;
	memset(id, "0123456789abcdef"[name[0] & 15], 64);
	id[64] = '\0';
	return 0;
}

/* What an accepted policy promises the BPF programs, which do not check it. */
static void check_match(const struct pd_policy *policy, const struct pd_match *match)
{
	__u32 i, w;

	if (match->has_cgroups > 1 || match->nr_cidrs > PD_MAX_CIDRS ||
	    (match->has_cgroups && !match->cgroups) ||
	    (policy->nr_globs < 64 && match->cgroups >> policy->nr_globs))
		abort();
	for (i = 0; i < match->nr_cidrs; i++)
		for (w = 0; w < 4; w++)
			if (match->cidrs[i].ip[w] & ~match->cidrs[i].mask[w])
				abort();
}

static void check_policy(const struct pd_policy *policy)
{
	__u32 i, j;

	if (!policy->nr_rules || policy->nr_rules > PD_MAX_RULES + 1 ||
	    policy->nr_globs > PD_MAX_GLOBS ||
	    strcmp(policy->rules[policy->nr_rules - 1].name, "default"))
		abort();
	for (i = 0; i < policy->nr_rules; i++) {
		const struct pd_rule *rule = &policy->rules[i];

		if (!rule->name[0] || rule->name[PD_NAME_LEN - 1] ||
		    rule->action > PD_ACTION_ACCELERATE || rule->nr_ports > PD_MAX_PORTS)
			abort();
		for (j = 0; j < rule->nr_ports; j++)
			if (!rule->ports[j].first || rule->ports[j].first > rule->ports[j].last)
				abort();
		check_match(policy, &rule->client);
		check_match(policy, &rule->server);
	}
	for (i = 0; i < policy->nr_globs; i++)
		if (policy->globs[i].accept > PD_GLOB_TOKENS ||
		    policy->globs[i].text[PD_GLOB_TEXT - 1])
			abort();
}

static void fuzz_parser(const char *text, size_t size)
{
	struct pd_policy_error err = { "" };
	struct pd_policy *policy = pd_policy__parse("fuzz", text, size, resolve, &err);

	if (policy)
		check_policy(policy);
	else if (strncmp(err.text, "fuzz:", 5))
		abort(); /* refused without a word */
	pd_policy__free(policy);
}

/* The first line is a pattern, the rest a path. */
static void fuzz_glob(const char *text, size_t size)
{
	static struct pd_glob glob;
	char *pattern = strndup(text, size), *path;
	const char *why = NULL;

	if (!pattern)
		return;
	path = pattern + strcspn(pattern, "\n");
	if (*path)
		*path++ = '\0';
	if (pd_glob__compile(&glob, pattern, &why)) {
		if (!why)
			abort();
	} else if (pd_glob__match(&glob, path) && *path == '/') {
		/* What matches a cgroup matches all below it. */
		char *below = malloc(strlen(path) + 3);

		if (below) {
			strcpy(below, path);
			strcat(below, "/x");
			if (!pd_glob__match(&glob, below))
				abort();
		}
		free(below);
	}
	free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && (data[0] == '/' || data[0] == '*'))
		fuzz_glob((const char *)data, size);
	else
		fuzz_parser((const char *)data, size);
	return 0;
}
