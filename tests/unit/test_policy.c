/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies that are taken: what they become, in memory and in the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <cjson/cJSON.h>

#include "pipedevice.skel.h"
#include "policy.h"

static const char example[] = "version: 1\n"
			      "default: bypass\n"
			      "rules:\n"
			      "  - name: redis\n"
			      "    action: accelerate\n"
			      "    client: {cgroup: \"/libpod_parent/*\", cidr: 10.88.0.0/16}\n"
			      "    server:\n"
			      "      cgroup: [\"/machine.slice/**\", \"/libpod_parent/*\"]\n"
			      "      cidr: [10.88.0.0/16, \"fd00::/8\"]\n"
			      "      ports: [6379, \"8000-8100\"]\n"
			      "  - name: web.1_x-Y\n"
			      "    action: bypass\n"
			      "    client:\n"
			      "      container: [web, cache]\n"
			      "    server:\n"
			      "      container: web\n"
			      "  - name: rest\n"
			      "    action: accelerate\n"
			      "    server: {cidr: 0.0.0.0/0, ports: 443}\n"
			      "  - name: all\n"
			      "    action: bypass\n";

/* Container "web" has the id bbbb..., "cache" cccc... */
static int resolve(const char *name, char id[65])
{
	memset(id, name[0] == 'w' ? 'b' : 'c', 64);
	id[64] = '\0';
	return 0;
}

static struct pd_policy *parse(const char *text)
{
	struct pd_policy_error err;
	struct pd_policy *policy = pd_policy__parse("FILE", text, strlen(text), resolve, &err);

	if (!policy)
		fail_msg("%s", err.text);
	return policy;
}

static void assert_cidr(const struct pd_cidr *cidr, const char *ip, int bits)
{
	__u8 expected[16], *mask = (__u8 *)cidr->mask;
	int i;

	assert_int_equal(inet_pton(AF_INET6, ip, expected), 1);
	assert_memory_equal(cidr->ip, expected, 16);
	for (i = 0; i < 128; i++)
		assert_int_equal(mask[i / 8] >> (7 - i % 8) & 1, i < bits);
}

static void assert_matches_nothing_in_particular(const struct pd_match *match)
{
	assert_int_equal(match->has_cgroups, 0);
	assert_int_equal(match->cgroups, 0);
	assert_int_equal(match->nr_cidrs, 0);
}

static void a_policy_becomes_rules_in_its_order_and_the_default(void **state)
{
	struct pd_policy *policy = parse(example);
	const struct pd_rule *rule = policy->rules;

	assert_int_equal(policy->nr_rules, 5);
	assert_int_equal(policy->nr_globs, 4);
	assert_string_equal(policy->globs[0].text, "/libpod_parent/*");
	assert_string_equal(policy->globs[1].text, "/machine.slice/**");
	assert_string_equal(policy->globs[2].text, "container:web");
	assert_string_equal(policy->globs[3].text, "container:cache");

	assert_string_equal(rule->name, "redis");
	assert_int_equal(rule->action, PD_ACTION_ACCELERATE);
	assert_int_equal(rule->client.has_cgroups, 1);
	assert_int_equal(rule->client.cgroups, 1 << 0);
	assert_int_equal(rule->client.nr_cidrs, 1);
	assert_cidr(&rule->client.cidrs[0], "::ffff:10.88.0.0", 112);
	assert_int_equal(rule->server.cgroups, 1 << 1 | 1 << 0);
	assert_int_equal(rule->server.nr_cidrs, 2);
	assert_cidr(&rule->server.cidrs[1], "fd00::", 8);
	assert_int_equal(rule->nr_ports, 2);
	assert_int_equal(rule->ports[0].first, 6379);
	assert_int_equal(rule->ports[0].last, 6379);
	assert_int_equal(rule->ports[1].first, 8000);
	assert_int_equal(rule->ports[1].last, 8100);

	rule++;
	assert_string_equal(rule->name, "web.1_x-Y");
	assert_int_equal(rule->action, PD_ACTION_BYPASS);
	assert_int_equal(rule->client.cgroups, 1 << 2 | 1 << 3);
	assert_int_equal(rule->server.cgroups, 1 << 2);
	assert_int_equal(rule->nr_ports, 0);

	rule++;
	assert_matches_nothing_in_particular(&rule->client);
	assert_int_equal(rule->server.has_cgroups, 0);
	assert_cidr(&rule->server.cidrs[0], "::ffff:0.0.0.0", 96);

	rule++;
	assert_string_equal(rule->name, "all");
	assert_matches_nothing_in_particular(&rule->client);
	assert_matches_nothing_in_particular(&rule->server);

	rule++;
	assert_string_equal(rule->name, "default");
	assert_int_equal(rule->action, PD_ACTION_BYPASS);
	assert_matches_nothing_in_particular(&rule->client);
	assert_matches_nothing_in_particular(&rule->server);
	pd_policy__free(policy);
}

static void a_container_is_matched_by_its_id_wherever_it_stands(void **state)
{
	struct pd_policy *policy = parse(example);
	char id[65], path[256];

	resolve("web", id);
	snprintf(path, sizeof(path), "/libpod_parent/libpod-%s", id);
	assert_true(pd_glob__match(&policy->globs[2], path));
	assert_false(pd_glob__match(&policy->globs[3], path));
	snprintf(path, sizeof(path), "/kubepods/pod1/cri-%s.scope/x", id);
	assert_true(pd_glob__match(&policy->globs[2], path));
	pd_policy__free(policy);
}

static void networks_are_kept_as_ipv6(void **state)
{
	struct pd_policy *policy =
		parse("version: 1\nrules:\n  - name: a\n    action: bypass\n"
		      "    client: {cidr: [\"::/0\", 0.0.0.0/0, 10.1.2.3/32, \"fd00::1/128\", "
		      "128.0.0.0/1, \"8000::/1\", \"fd00:0:0:8000::/49\"]}\n");
	const struct pd_cidr *cidrs = policy->rules[0].client.cidrs;

	assert_int_equal(policy->rules[0].client.nr_cidrs, 7);
	assert_cidr(&cidrs[0], "::", 0);
	assert_cidr(&cidrs[1], "::ffff:0.0.0.0", 96);
	assert_cidr(&cidrs[2], "::ffff:10.1.2.3", 128);
	assert_cidr(&cidrs[3], "fd00::1", 128);
	assert_cidr(&cidrs[4], "::ffff:128.0.0.0", 97);
	assert_cidr(&cidrs[5], "8000::", 1);
	assert_cidr(&cidrs[6], "fd00:0:0:8000::", 49);
	pd_policy__free(policy);
}

static void the_default_is_bypass_unless_the_file_says_otherwise(void **state)
{
	static const struct {
		const char *text;
		__u32 action;
	} files[] = {
		{ "version: 1\n", PD_ACTION_BYPASS },
		{ "version: 1", PD_ACTION_BYPASS },
		{ "rules: []\nversion: 1\n", PD_ACTION_BYPASS },
		{ "---\nversion: 1\ndefault: accelerate\n...\n", PD_ACTION_ACCELERATE },
		{ "\xef\xbb\xbfversion: 1\r\n\"default\": 'accelerate'\r\n", PD_ACTION_ACCELERATE },
		{ "{\"version\": 1, \"default\": \"accelerate\"}", PD_ACTION_ACCELERATE },
		{ "version: 1\n? default\n: >-\n  accelerate\n", PD_ACTION_ACCELERATE },
	};
	struct pd_policy *policy;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		policy = parse(files[i].text);
		assert_int_equal(policy->nr_rules, 1);
		assert_int_equal(policy->nr_globs, 0);
		assert_string_equal(policy->rules[0].name, "default");
		assert_int_equal(policy->rules[0].action, files[i].action);
		pd_policy__free(policy);
	}
	policy = pd_policy__builtin(PD_ACTION_ACCELERATE);
	assert_int_equal(policy->nr_rules, 1);
	assert_string_equal(policy->rules[0].name, "default");
	assert_int_equal(policy->rules[0].action, PD_ACTION_ACCELERATE);
	pd_policy__free(policy);
	pd_policy__free(NULL);
}

static void a_policy_is_printed_as_it_was_meant(void **state)
{
	static const char expected[] =
		"  1. redis: accelerate\n"
		"      client: cgroup /libpod_parent/*, cidr 10.88.0.0/16\n"
		"      server: cgroup /libpod_parent/* or /machine.slice/**, "
		"cidr 10.88.0.0/16 or fd00::/8, port 6379 or 8000-8100\n"
		"  2. web.1_x-Y: bypass\n"
		"      client: container web (bbbbbbbbbbbb) or cache (cccccccccccc)\n"
		"      server: container web (bbbbbbbbbbbb)\n"
		"  3. rest: accelerate\n"
		"      server: cidr 0.0.0.0/0, port 443\n"
		"  4. all: bypass\n"
		"  otherwise: bypass\n";
	struct pd_policy *policy = parse(example);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	pd_policy__print(policy, NULL, out);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
	pd_policy__free(policy);
}

static void a_policy_is_shown_with_the_counters_of_each_rule(void **state)
{
	struct pd_rule_stats stats[5] = { { 12, 3, 4096, 10 } };
	struct pd_policy *policy = parse(example);
	cJSON *obj = cJSON_CreateObject(), *rules, *rule;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	stats[4].bypassed = 1ULL << 60 | 1;
	pd_policy__print(policy, stats, out);
	fclose(out);
	assert_non_null(strstr(text, "RULE       ACTION      ACCELERATED"));
	assert_non_null(strstr(text, "redis      accelerate           12"));
	assert_non_null(strstr(text, " 1152921504606846977 "));
	free(text);

	pd_policy__to_json(policy, stats, obj);
	text = cJSON_PrintUnformatted(obj);
	assert_non_null(strstr(text, "\"bypassed\":1152921504606846977"));
	free(text);
	assert_string_equal(cJSON_GetObjectItem(obj, "default")->valuestring, "bypass");
	rules = cJSON_GetObjectItem(obj, "rules");
	assert_int_equal(cJSON_GetArraySize(rules), 5);
	rule = cJSON_GetArrayItem(rules, 1);
	text = cJSON_PrintUnformatted(cJSON_GetObjectItem(rule, "server"));
	assert_string_equal(
		text, "{\"container\":[{\"name\":\"web\",\"id\":"
		      "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}]}");
	free(text);
	text = cJSON_PrintUnformatted(cJSON_GetObjectItem(cJSON_GetArrayItem(rules, 0), "server"));
	assert_string_equal(text, "{\"cgroup\":[\"/libpod_parent/*\",\"/machine.slice/**\"],"
				  "\"cidr\":[\"10.88.0.0/16\",\"fd00::/8\"],"
				  "\"ports\":[\"6379\",\"8000-8100\"]}");
	free(text);
	cJSON_Delete(obj);
	pd_policy__free(policy);
}

/* ---- in the kernel -------------------------------------------------------- */

struct outer {
	int rules;
	int globs;
};

/* The maps of the programs themselves; they stay when the skeleton goes. */
static struct outer make_outers(void)
{
	struct outer outer = { .rules = -1, .globs = -1 };
	struct pipedevice *skel = pipedevice__open_and_load();

	if (skel) {
		outer.rules = dup(bpf_map__fd(skel->maps.pd_rules));
		outer.globs = dup(bpf_map__fd(skel->maps.pd_globs));
		pipedevice__destroy(skel);
	}
	if (outer.rules < 0 && errno == EPERM) {
		print_message("needs CAP_BPF\n");
		skip();
	}
	assert_true(outer.rules >= 0 && outer.globs >= 0);
	return outer;
}

static void close_outers(struct outer *outer)
{
	close(outer->rules);
	close(outer->globs);
}

static bool holds(int fd, __u64 generation)
{
	__u32 id;

	return !bpf_map_lookup_elem(fd, &generation, &id);
}

static void assert_installed(const struct outer *outer, __u64 generation,
			     const struct pd_policy *policy)
{
	struct pd_policy *read = pd_policy__read(outer->rules, outer->globs, generation);

	assert_non_null(read);
	assert_int_equal(read->nr_rules, policy->nr_rules);
	assert_memory_equal(read->rules, policy->rules, sizeof(policy->rules));
	assert_int_equal(read->nr_globs, policy->nr_globs);
	if (policy->nr_globs)
		assert_memory_equal(read->globs, policy->globs,
				    policy->nr_globs * sizeof(*policy->globs));
	pd_policy__free(read);
}

static void what_is_installed_is_read_back_replaced_and_removed(void **state)
{
	struct outer outer = make_outers();
	struct pd_policy *one = parse(example), *two = pd_policy__builtin(PD_ACTION_ACCELERATE);

	assert_int_equal(pd_policy__install(one, outer.rules, outer.globs, 1), 0);
	assert_installed(&outer, 1, one);
	assert_int_equal(pd_policy__install(two, outer.rules, outer.globs, 2), 0);
	assert_installed(&outer, 1, one);
	assert_installed(&outer, 2, two);
	pd_policy__remove(outer.rules, outer.globs, 1);
	assert_false(holds(outer.rules, 1));
	assert_false(holds(outer.globs, 1));
	assert_installed(&outer, 2, two);
	/* What is there under the same number, of an apply that was killed, gives way. */
	assert_int_equal(pd_policy__install(one, outer.rules, outer.globs, 2), 0);
	assert_installed(&outer, 2, one);
	pd_policy__remove(outer.rules, outer.globs, 2);
	pd_policy__remove(outer.rules, outer.globs, 2);
	assert_false(holds(outer.rules, 2));
	pd_policy__free(one);
	pd_policy__free(two);
	close_outers(&outer);
}

static void a_policy_of_full_size_fits(void **state)
{
	struct outer outer = make_outers();
	struct pd_policy *policy;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int i;

	fputs("version: 1\nrules:\n", out);
	for (i = 0; i < PD_MAX_RULES; i++)
		fprintf(out,
			"  - name: r%d\n    action: accelerate\n"
			"    client: {cgroup: \"/[a-z]**%d\"}\n    server: {ports: %d}\n",
			i, i, i + 1);
	fclose(out);
	policy = parse(text);
	free(text);
	assert_int_equal(policy->nr_rules, PD_MAX_RULES + 1);
	assert_int_equal(policy->nr_globs, PD_MAX_GLOBS);
	assert_int_equal(policy->rules[63].client.cgroups >> 63, 1);
	assert_int_equal(pd_policy__install(policy, outer.rules, outer.globs, ~0ULL), 0);
	assert_installed(&outer, ~0ULL, policy);
	pd_policy__free(policy);
	close_outers(&outer);
}

static void a_policy_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct outer outer = make_outers();
	struct pd_policy *policy = parse(example);
	__u64 generation;

	for (generation = 1; generation <= 4; generation++)
		assert_int_equal(pd_policy__install(policy, outer.rules, outer.globs, generation),
				 0);
	/* Room for globs, but not for rules. */
	pd_policy__remove(-1, outer.globs, 1);
	assert_int_not_equal(pd_policy__install(policy, outer.rules, outer.globs, 5), 0);
	assert_false(holds(outer.rules, 5));
	assert_false(holds(outer.globs, 5));
	assert_installed(&outer, 4, policy);

	pd_policy__prune(outer.rules, outer.globs, 3);
	for (generation = 1; generation <= 4; generation++) {
		assert_int_equal(holds(outer.rules, generation), generation == 3);
		assert_int_equal(holds(outer.globs, generation), generation == 3);
	}
	assert_null(pd_policy__read(outer.rules, outer.globs, 4));
	pd_policy__free(policy);
	close_outers(&outer);
}

static __u32 field_names(const struct btf *btf, __u32 type, char *names, size_t size)
{
	const struct btf_type *t = btf__type_by_id(btf, type);
	const struct btf_member *member = btf_members(t);
	size_t at = 0;
	__u32 i;

	for (i = 0; i < btf_vlen(t); i++)
		at += snprintf(names + at, size - at, "%s ",
			       btf__name_by_offset(btf, member[i].name_off));
	return t->size;
}

static void assert_fields(int outer_fd, const char *expected, size_t size)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), id;
	__u64 generation = 1;
	char names[256];
	struct btf *btf;
	int fd;

	assert_int_equal(bpf_map_lookup_elem(outer_fd, &generation, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	btf = btf__load_from_kernel_by_id(info.btf_id);
	assert_non_null(btf);
	assert_int_equal(field_names(btf, info.btf_value_type_id, names, sizeof(names)), size);
	assert_string_equal(names, expected);
	btf__free(btf);
	close(fd);
}

static void bpftool_finds_the_names_of_the_fields(void **state)
{
	struct outer outer = make_outers();
	struct pd_policy *policy = parse(example);

	assert_int_equal(pd_policy__install(policy, outer.rules, outer.globs, 1), 0);
	assert_fields(outer.rules, "name action nr_ports ports client server ",
		      sizeof(struct pd_rule));
	assert_fields(outer.globs, "step loop loop_slash accept pad text ", sizeof(struct pd_glob));
	pd_policy__free(policy);
	close_outers(&outer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_becomes_rules_in_its_order_and_the_default),
		cmocka_unit_test(a_container_is_matched_by_its_id_wherever_it_stands),
		cmocka_unit_test(networks_are_kept_as_ipv6),
		cmocka_unit_test(the_default_is_bypass_unless_the_file_says_otherwise),
		cmocka_unit_test(a_policy_is_printed_as_it_was_meant),
		cmocka_unit_test(a_policy_is_shown_with_the_counters_of_each_rule),
		cmocka_unit_test(what_is_installed_is_read_back_replaced_and_removed),
		cmocka_unit_test(a_policy_of_full_size_fits),
		cmocka_unit_test(a_policy_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(bpftool_finds_the_names_of_the_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
