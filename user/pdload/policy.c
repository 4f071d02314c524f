/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload policy show | check FILE | apply FILE */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "format.h"
#include "json.h"
#include "pins.h"
#include "policy.h"
#include "stats.h"

/* What the pinned maps of a policy are reached by. */
struct installed {
	struct pd_control *control;
	int rules_fd;
	int globs_fd;
	int stats_fd;
};

static int open_installed(struct installed *in)
{
	in->control = pd_pins__control();
	in->rules_fd = in->control ? pd_pins__map("pd_rules") : -1;
	in->globs_fd = in->rules_fd >= 0 ? pd_pins__map("pd_globs") : -1;
	in->stats_fd = in->globs_fd >= 0 ? pd_pins__map("pd_rule_stats") : -1;
	return in->stats_fd < 0 ? PD_EXIT_FAILED : PD_EXIT_OK;
}

static void close_installed(struct installed *in)
{
	const int fds[] = { in->rules_fd, in->globs_fd, in->stats_fd };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static __u64 generation_of(const struct installed *in)
{
	return __atomic_load_n(&in->control->generation, __ATOMIC_ACQUIRE);
}

static struct pd_policy *parse(const char *file)
{
	struct pd_policy_error err = { 0 };
	struct pd_policy *policy = pd_policy__parse_file(file, NULL, &err);

	if (!policy)
		p_err("%s", err.text);
	return policy;
}

/* "2 rules, default bypass" */
static void print_summary(const struct pd_policy *policy)
{
	__u32 rules = policy->nr_rules - 1;

	printf("%u rule%s, default %s", rules, rules == 1 ? "" : "s",
	       pd_name__action(policy->rules[rules].action));
}

static int check(const char *file)
{
	struct pd_policy *policy = parse(file);

	if (!policy)
		return PD_EXIT_POLICY;
	if (pd_json) {
		cJSON *obj = cJSON_CreateObject();

		cJSON_AddStringToObject(obj, "file", file);
		pd_policy__to_json(policy, NULL, obj);
		pd_json__print(obj);
	} else {
		printf("%s is a good policy: ", file);
		print_summary(policy);
		printf(".\n");
		pd_policy__print(policy, NULL, stdout);
	}
	pd_policy__free(policy);
	return PD_EXIT_OK;
}

static int zero_stats(int fd)
{
	int cpus = libbpf_num_possible_cpus();
	struct pd_rule_stats *zeros;
	int err = 0;
	__u32 i;

	zeros = cpus > 0 ? calloc(cpus, sizeof(*zeros)) : NULL;
	if (!zeros)
		err = cpus < 0 ? cpus : -ENOMEM;
	for (i = 0; !err && i <= PD_MAX_RULES; i++)
		if (bpf_map_update_elem(fd, &i, zeros, BPF_ANY))
			err = -errno;
	free(zeros);
	if (err)
		p_err("can't set the counters of the rules to zero: %s; the policy is as it was",
		      strerror(-err));
	return err;
}

/* Put @policy in the place of the generation in force, which new connections
 * see whole until the switch, and not at all after it.
 */
static int replace(const struct installed *in, const struct pd_policy *policy, __u64 *generation)
{
	__u64 old = generation_of(in);
	int err;

	*generation = old + 1;
	pd_policy__prune(in->rules_fd, in->globs_fd, old);
	if (pd_policy__install(policy, in->rules_fd, in->globs_fd, *generation))
		return PD_EXIT_FAILED;
	/* What is counted while they are set to zero would be charged to the new rules. An apply that
	 * is killed here leaves the old ones uncounted from now on, until another is made.
	 */
	__atomic_store_n(&in->control->counting, 0, __ATOMIC_SEQ_CST);
	err = pd_policy__wait_for_programs(in->rules_fd, old);
	if (err)
		p_err("can't wait for the programs that count: %s; the policy is as it was",
		      strerror(-err));
	if (err || zero_stats(in->stats_fd)) {
		__atomic_store_n(&in->control->counting, old, __ATOMIC_SEQ_CST);
		pd_policy__remove(in->rules_fd, in->globs_fd, *generation);
		return PD_EXIT_FAILED;
	}
	__atomic_store_n(&in->control->counting, *generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&in->control->generation, *generation, __ATOMIC_SEQ_CST);
	pd_policy__remove(in->rules_fd, in->globs_fd, old);
	return PD_EXIT_OK;
}

static void print_applied(const struct pd_policy *policy, __u64 generation)
{
	if (pd_json) {
		cJSON *obj = cJSON_CreateObject();

		pd_json__u64(obj, "generation", generation);
		pd_policy__to_json(policy, NULL, obj);
		pd_json__print(obj);
		return;
	}
	printf("In force: ");
	print_summary(policy);
	printf(". Live connections keep their path until `pdload flush`.\n");
}

static int apply(const char *file)
{
	struct installed in = { .rules_fd = -1, .globs_fd = -1, .stats_fd = -1 };
	struct pd_policy *policy;
	__u64 generation;
	int lock, err;

	err = pd_pins__require();
	if (err)
		return err;
	/* Before the lock: asking for containers can take seconds. */
	policy = parse(file);
	if (!policy)
		return PD_EXIT_POLICY;
	lock = pd_pins__lock();
	/* It may have gone down meanwhile. */
	err = lock < 0 ? PD_EXIT_FAILED : pd_pins__require();
	if (!err)
		err = open_installed(&in);
	if (!err)
		err = replace(&in, policy, &generation);
	if (!err)
		print_applied(policy, generation);
	if (!err && pd_pins__draining())
		p_warn("PipeDevice is going down: nothing is accelerated by these rules; `pdload down` "
		       "until it is done, then `pdload up --policy FILE`");
	close_installed(&in);
	if (lock >= 0)
		close(lock);
	pd_policy__free(policy);
	return err;
}

static int read_stats(const struct installed *in, const struct pd_policy *policy,
		      struct pd_rule_stats *stats)
{
	__u32 i;

	for (i = 0; i < policy->nr_rules; i++)
		if (pd_stats__sum(in->stats_fd, i, (__u64 *)&stats[i],
				  sizeof(*stats) / sizeof(__u64)))
			return PD_EXIT_FAILED;
	return PD_EXIT_OK;
}

static int show(const char *file)
{
	struct installed in = { .rules_fd = -1, .globs_fd = -1, .stats_fd = -1 };
	struct pd_rule_stats stats[PD_MAX_RULES + 1] = { 0 };
	struct pd_policy *policy = NULL;
	__u64 generation = 0;
	int err;

	err = pd_pins__require();
	if (!err)
		err = open_installed(&in);
	/* Rules of one generation and counters of another belong to an apply that
	 * came in between: read again.
	 */
	while (!err && (!policy || generation != generation_of(&in))) {
		pd_policy__free(policy);
		generation = generation_of(&in);
		policy = pd_policy__read(in.rules_fd, in.globs_fd, generation);
		err = policy ? read_stats(&in, policy, stats) : PD_EXIT_FAILED;
	}
	if (!err && pd_json) {
		cJSON *obj = cJSON_CreateObject();

		pd_json__u64(obj, "generation", generation);
		pd_policy__to_json(policy, stats, obj);
		pd_json__print(obj);
	} else if (!err) {
		printf("In force: ");
		print_summary(policy);
		printf(".\n");
		pd_policy__print(policy, stats, stdout);
	}
	close_installed(&in);
	pd_policy__free(policy);
	return err;
}

/* ---- command line --------------------------------------------------------- */

static const struct action {
	const char *name;
	int (*run)(const char *file);
	bool takes_file;
} actions[] = {
	{ "show", show, false },
	{ "check", check, true },
	{ "apply", apply, true },
	{ 0 },
};

struct args {
	const struct action *action;
	const char *file;
};

static error_t parse_arg(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (!args->action) {
			for (args->action = actions; args->action->name; args->action++)
				if (!strcmp(args->action->name, arg))
					return 0;
			argp_error(state, "expected show, check or apply, not '%s'", arg);
		}
		if (args->file || !args->action->takes_file)
			argp_error(state, "unexpected argument '%s'", arg);
		args->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->action)
			argp_error(state, "expected show, check or apply");
		if (args->action->takes_file && !args->file)
			argp_error(state, "'%s' takes a policy file", args->action->name);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int pd_policy__main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_arg,
		.args_doc = "show\ncheck FILE\napply FILE",
		.doc = "Show the policy that is in force, with counters for each rule; check a "
		       "policy file and say what it means; or put one in force for new "
		       "connections.\vA file that is refused changes nothing. Live connections "
		       "keep their path until `pdload flush'.",
		.children = pd_args_json,
	};
	struct args args = { 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	return args.action->run(args.file);
}
