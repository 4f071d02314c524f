/* SPDX-License-Identifier: GPL-2.0-only */
/* The rules that are in force, for those who read counters and connections. */
#include <errno.h>
#include <unistd.h>

#include "pins.h"
#include "rules.h"

int pd_rules__refresh(struct pd_rules *rules, const struct pd_control *control)
{
	__u64 generation = __atomic_load_n(&control->generation, __ATOMIC_ACQUIRE);
	struct pd_policy *policy = NULL;
	int rules_fd, globs_fd;

	if (rules->policy && rules->generation == generation)
		return 0;
	rules_fd = pd_pins__map("pd_rules");
	if (rules_fd < 0)
		return rules_fd;
	globs_fd = pd_pins__map("pd_globs");
	if (globs_fd < 0) {
		close(rules_fd);
		return globs_fd;
	}
	policy = pd_policy__read(rules_fd, globs_fd, generation);
	close(rules_fd);
	close(globs_fd);
	if (!policy)
		return -EIO;
	pd_policy__free(rules->policy);
	rules->policy = policy;
	rules->generation = generation;
	return 0;
}

const char *pd_rules__name(const struct pd_rules *rules, __u64 generation, __u32 index)
{
	if (!rules->policy || rules->generation != generation || index >= rules->policy->nr_rules)
		return NULL;
	return rules->policy->rules[index].name;
}

void pd_rules__free(struct pd_rules *rules)
{
	pd_policy__free(rules->policy);
	rules->policy = NULL;
}
