/* SPDX-License-Identifier: GPL-2.0-only */
/* A policy in the kernel: two inner arrays for each generation, in the outer
 * maps pd_rules and pd_globs.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"

/* Type ids in the BTF of the inner maps. libbpf loads the programs' BTF for
 * maps that they declare; inner maps made later bring their own, so that
 * `bpftool map dump` prints their fields by name.
 */
struct types {
	struct btf *btf;
	int u32;
	int rule;
	int glob;
};

#define ADD_FIELD(btf, type, member, id) \
	btf__add_field(btf, #member, id, offsetof(struct type, member) * 8, 0)

/* Errors need no check one by one: a type that could not be added gives a
 * negative id, and libbpf or the kernel refuses what refers to it.
 */
static void add_types(struct types *types)
{
	struct btf *btf = types->btf;
	int chr = btf__add_int(btf, "char", 1, BTF_INT_CHAR);
	int u16 = btf__add_int(btf, "__u16", 2, 0);
	int u32 = btf__add_int(btf, "__u32", 4, 0);
	int u64 = btf__add_int(btf, "__u64", 8, 0);
	int words = btf__add_array(btf, u32, u64, PD_GLOB_WORDS);
	int steps = btf__add_array(btf, u32, words, 256);
	int text = btf__add_array(btf, u32, chr, PD_GLOB_TEXT);
	int name = btf__add_array(btf, u32, chr, PD_NAME_LEN);
	int ip = btf__add_array(btf, u32, u32, 4);
	int cidr, cidrs, port, ports, match;

	cidr = btf__add_struct(btf, "pd_cidr", sizeof(struct pd_cidr));
	ADD_FIELD(btf, pd_cidr, ip, ip);
	ADD_FIELD(btf, pd_cidr, mask, ip);
	cidrs = btf__add_array(btf, u32, cidr, PD_MAX_CIDRS);

	port = btf__add_struct(btf, "pd_ports", sizeof(struct pd_ports));
	ADD_FIELD(btf, pd_ports, first, u16);
	ADD_FIELD(btf, pd_ports, last, u16);
	ports = btf__add_array(btf, u32, port, PD_MAX_PORTS);

	match = btf__add_struct(btf, "pd_match", sizeof(struct pd_match));
	ADD_FIELD(btf, pd_match, cgroups, u64);
	ADD_FIELD(btf, pd_match, has_cgroups, u32);
	ADD_FIELD(btf, pd_match, nr_cidrs, u32);
	ADD_FIELD(btf, pd_match, cidrs, cidrs);

	types->u32 = u32;
	types->rule = btf__add_struct(btf, "pd_rule", sizeof(struct pd_rule));
	ADD_FIELD(btf, pd_rule, name, name);
	ADD_FIELD(btf, pd_rule, action, u32);
	ADD_FIELD(btf, pd_rule, nr_ports, u32);
	ADD_FIELD(btf, pd_rule, ports, ports);
	ADD_FIELD(btf, pd_rule, client, match);
	ADD_FIELD(btf, pd_rule, server, match);

	types->glob = btf__add_struct(btf, "pd_glob", sizeof(struct pd_glob));
	ADD_FIELD(btf, pd_glob, step, steps);
	ADD_FIELD(btf, pd_glob, loop, words);
	ADD_FIELD(btf, pd_glob, loop_slash, words);
	ADD_FIELD(btf, pd_glob, accept, u32);
	ADD_FIELD(btf, pd_glob, pad, u32);
	ADD_FIELD(btf, pd_glob, text, text);
}

/* Returns 0 or -errno; types->btf is to be freed in both cases. */
static int load_types(struct types *types)
{
	types->btf = btf__new_empty();
	if (!types->btf)
		return -errno;
	add_types(types);
	return btf__load_into_kernel(types->btf);
}

/* An array of @nr values, filled; at least one entry, as no array has none.
 * Returns its fd or -errno.
 */
static int make_inner(const char *name, const struct types *types, int value_type,
		      const void *values, size_t size, __u32 nr)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP,
		    .btf_fd = btf__fd(types->btf), .btf_key_type_id = types->u32,
		    .btf_value_type_id = value_type);
	int fd, err;
	__u32 i;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), size, nr ? nr : 1, &opts);
	if (fd < 0)
		return -errno;
	for (i = 0; i < nr; i++) {
		if (bpf_map_update_elem(fd, &i, (const char *)values + i * size, BPF_ANY)) {
			err = -errno;
			close(fd);
			return err;
		}
	}
	return fd;
}

static int put(int outer_fd, __u64 generation, int inner_fd)
{
	return bpf_map_update_elem(outer_fd, &generation, &inner_fd, BPF_ANY) ? -errno : 0;
}

int pd_policy__install(const struct pd_policy *policy, int rules_fd, int globs_fd, __u64 generation)
{
	struct types types = { 0 };
	int rules = -1, globs = -1, err;

	err = load_types(&types);
	if (err)
		goto out;
	rules = make_inner("pd_rule_set", &types, types.rule, policy->rules, sizeof(*policy->rules),
			   policy->nr_rules);
	globs = make_inner("pd_glob_set", &types, types.glob, policy->globs, sizeof(*policy->globs),
			   policy->nr_globs);
	err = rules < 0 ? rules : globs < 0 ? globs : 0;
	if (err)
		goto out;
	/* Globs first: who finds the rules of a generation finds its globs. */
	err = put(globs_fd, generation, globs);
	if (!err)
		err = put(rules_fd, generation, rules);
	if (err)
		pd_policy__remove(rules_fd, globs_fd, generation);
out:
	if (err)
		p_err("can't put the rules into the kernel: %s; the policy is as it was",
		      strerror(-err));
	if (rules >= 0)
		close(rules);
	if (globs >= 0)
		close(globs);
	btf__free(types.btf);
	return err;
}

/* fd of the inner map of @generation, or -errno. */
static int inner_of(int outer_fd, __u64 generation)
{
	__u32 id;
	int fd;

	if (bpf_map_lookup_elem(outer_fd, &generation, &id))
		return -errno;
	fd = bpf_map_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}

/* An update of a map of maps returns when every program that was running has
 * ended: the entry is put over itself.
 */
int pd_policy__wait_for_programs(int rules_fd, __u64 generation)
{
	int fd = inner_of(rules_fd, generation), err;

	if (fd < 0)
		return fd;
	err = put(rules_fd, generation, fd);
	close(fd);
	return err;
}

/* A program that read this generation from pd_control before it was switched
 * still finds it here.
 */
static void take_out(int outer_fd, __u64 generation)
{
	pd_policy__wait_for_programs(outer_fd, generation);
	bpf_map_delete_elem(outer_fd, &generation);
}

void pd_policy__remove(int rules_fd, int globs_fd, __u64 generation)
{
	take_out(rules_fd, generation);
	take_out(globs_fd, generation);
}

void pd_policy__prune(int rules_fd, int globs_fd, __u64 keep)
{
	const int fds[] = { rules_fd, globs_fd };
	__u64 key, next;
	bool more;
	int i;

	for (i = 0; i < 2; i++) {
		more = !bpf_map_get_next_key(fds[i], NULL, &next);
		while (more) {
			key = next;
			more = !bpf_map_get_next_key(fds[i], &key, &next);
			if (key != keep)
				bpf_map_delete_elem(fds[i], &key);
		}
	}
}

/* All values of the inner map of @generation, malloc()ed. Returns how many, up
 * to @max, or -errno.
 */
static int read_inner(int outer_fd, __u64 generation, size_t size, __u32 max, void **values)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), i;
	int fd, err = 0;

	fd = inner_of(outer_fd, generation);
	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		err = -errno;
	else if (info.value_size != size || info.max_entries > max)
		err = -EPROTO;
	*values = err ? NULL : calloc(info.max_entries, size);
	if (!err && !*values)
		err = -ENOMEM;
	for (i = 0; !err && i < info.max_entries; i++)
		if (bpf_map_lookup_elem(fd, &i, (char *)*values + i * size))
			err = -errno;
	close(fd);
	if (!err)
		return info.max_entries;
	free(*values);
	*values = NULL;
	return err;
}

struct pd_policy *pd_policy__read(int rules_fd, int globs_fd, __u64 generation)
{
	struct pd_policy *policy = calloc(1, sizeof(*policy));
	void *rules = NULL, *globs = NULL;
	int nr_rules = -ENOMEM, nr_globs = 0;

	if (policy)
		nr_rules = read_inner(rules_fd, generation, sizeof(struct pd_rule),
				      PD_MAX_RULES + 1, &rules);
	if (nr_rules > 0)
		nr_globs = read_inner(globs_fd, generation, sizeof(struct pd_glob), PD_MAX_GLOBS,
				      &globs);
	if (nr_rules < 0 || nr_globs < 0) {
		p_err("can't read the rules of generation %llu from the kernel: %s",
		      (unsigned long long)generation,
		      strerror(nr_rules < 0 ? -nr_rules : -nr_globs));
		free(rules);
		pd_policy__free(policy);
		return NULL;
	}
	memcpy(policy->rules, rules, nr_rules * sizeof(struct pd_rule));
	policy->nr_rules = nr_rules;
	policy->globs = globs;
	/* No pattern at all is one entry without text. */
	policy->nr_globs = policy->globs[0].text[0] ? nr_globs : 0;
	free(rules);
	return policy;
}
