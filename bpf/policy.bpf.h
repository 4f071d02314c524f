/* SPDX-License-Identifier: GPL-2.0-only */
/* Which rule decides about a connection. */
#ifndef PD_POLICY_BPF_H
#define PD_POLICY_BPF_H

#include "compat.bpf.h"
#include "context.bpf.h"
#include "maps.bpf.h"

/* Rule sets by generation. A reader that found a generation's rules finds its
 * globs, or, if they have just been replaced, the next generation whole:
 * removing an entry waits for the programs that run.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u64);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(map_flags, BPF_F_INNER_MAP);
		__type(key, __u32);
		__type(value, struct pd_rule);
	});
} pd_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u64);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(map_flags, BPF_F_INNER_MAP);
		__type(key, __u32);
		__type(value, struct pd_glob);
	});
} pd_globs SEC(".maps");

/* Which globs match a cgroup, found once for each generation. */
struct cgroup_key {
	__u64 cgroup_id;
	__u64 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PD_DEFAULT_CGROUPS);
	__type(key, struct cgroup_key);
	__type(value, __u64);
} pd_cgroups SEC(".maps");

/* A use of the types outside a map, without which clang leaves them out of BTF. */
const struct pd_rule *unused_rule __attribute__((unused));
const struct pd_glob *unused_glob __attribute__((unused));

/* What one rule says of a connection. */
enum judgement {
	JUDGED_GONE = -1, /* the generation has gone: ask again */
	JUDGED_NO_MATCH = 0,
	JUDGED_BYPASS = 1,
	JUDGED_ACCELERATE = 2,
	JUDGED_END = 3, /* there is no such rule */
};

/* 1 if @x is 0, else 0: no branch, for the verifier's sake. */
static __always_inline __u64 is_zero(__u64 x)
{
	return ~(x | -x) >> 63;
}

struct glob_state {
	__u64 word[PD_GLOB_WORDS];
};

static __always_inline void take_byte(struct glob_state *state, const __u64 *step,
				      const __u64 *loop)
{
	__u64 carry = 0;
	__u32 i;

	for (i = 0; i < PD_GLOB_WORDS; i++) {
		__u64 stepped = state->word[i] & step[i];

		state->word[i] = (stepped << 1) | carry | (state->word[i] & loop[i]);
		carry = stepped >> 63;
	}
}

/* Run the automaton of glob @index over the path of the cgroup whose kernfs
 * node is @node. A function of its own for the verifier, which goes through
 * its loops once and not once for each caller.
 * Returns 1 on a match, 0 if not, -1 if the generation has gone.
 */
__weak int match_glob(__u64 generation, __u64 node, __u32 index)
{
	struct glob_state state;
	__u64 accepted;
	__u64 nodes[PD_CGROUP_DEPTH];
	char name[PD_CGROUP_NAME];
	struct pd_glob *glob;
	__u32 bit, word;
	void *globs;
	int i, j;

	globs = bpf_map_lookup_elem(&pd_globs, &generation);
	if (!globs)
		return -1;
	glob = bpf_map_lookup_elem(globs, &index);
	if (!glob)
		return -1;
	/* Zeroes that the verifier does not know: it then takes all states of
	 * the automaton for one, and does not follow each by itself.
	 */
	accepted = glob->pad;
	state.word[0] = 1 + glob->pad;
	state.word[1] = glob->pad;
	state.word[2] = glob->pad;
	state.word[3] = glob->pad;
	word = (glob->accept >> 6) & (PD_GLOB_WORDS - 1);
	bit = glob->accept & 63;

	/* The last slot is the leaf; the root, which has no parent, is no
	 * part of a path. No branch here either: beyond the root all is 0.
	 */
#pragma unroll
	for (i = PD_CGROUP_DEPTH - 1; i >= 0; i--) {
		__u64 parent = kernfs_parent(node);

		nodes[i] = node & (is_zero(parent) - 1);
		node = parent;
	}

	/* Deeper than is looked at: a path without its beginning is no path. */
	if (kernfs_parent(node))
		return 0;
	/* The path of the root itself is "/". */
	if (!nodes[PD_CGROUP_DEPTH - 1]) {
		take_byte(&state, glob->step['/'], glob->loop_slash);
		return state.word[word] >> bit & 1;
	}
	/* Unrolled: the verifier then takes a tenth of the time for it. */
#pragma unroll
	for (i = 0; i < PD_CGROUP_DEPTH; i++) {
		struct kernfs_node *kn = (void *)nodes[i];

		if (!kn)
			continue;
		take_byte(&state, glob->step['/'], glob->loop_slash);
		bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(kn, name));
		for (j = 0; j < PD_CGROUP_NAME; j++) {
			__u8 c = name[j];

			if (!c)
				break;
			take_byte(&state, glob->step[c], glob->loop);
		}
		/* What matched above a cgroup matches it, too. */
		accepted |= state.word[word] >> bit;
	}
	return accepted & 1;
}

/* The globs of @generation that match the cgroup of @sock, as bits in *globs,
 * and the cgroup's id. Returns 0, or -1 if the generation has gone.
 */
static __always_inline int cgroup_globs(__u64 sock, __u64 generation, __u64 *globs)
{
	struct cgroup_key key = { .generation = generation };
	__u64 node = sock_cgroup_node(sock);
	__u64 bits = 0, *known;
	__u32 i;

	*globs = 0;
	if (!node)
		return 0;
	key.cgroup_id = BPF_CORE_READ((struct kernfs_node *)node, id);
	known = bpf_map_lookup_elem(&pd_cgroups, &key);
	if (known) {
		*globs = *known;
		return 0;
	}
	for (i = 0; i < PD_MAX_GLOBS; i++) {
		int matched = match_glob(generation, node, i);

		if (matched < 0)
			break;
		bits |= (__u64)(matched & 1) << i;
	}
	*globs = bits;
	bpf_map_update_elem(&pd_cgroups, &key, &bits, BPF_ANY);
	return 0;
}

static __always_inline __u64 in_cidr(const struct pd_addr *addr, const struct pd_cidr *cidr)
{
	__u64 diff = (addr->ip[0] & cidr->mask[0]) ^ cidr->ip[0];

	diff |= (addr->ip[1] & cidr->mask[1]) ^ cidr->ip[1];
	diff |= (addr->ip[2] & cidr->mask[2]) ^ cidr->ip[2];
	diff |= (addr->ip[3] & cidr->mask[3]) ^ cidr->ip[3];
	return is_zero(diff);
}

/* 1 if one of the addresses is in one of the networks, or none is asked for. */
static __always_inline __u64 match_cidrs(const struct pd_match *match, const struct pd_addr *a,
					 const struct pd_addr *b)
{
	__u64 matched = is_zero(match->nr_cidrs);
	__u32 i;

	for (i = 0; i < PD_MAX_CIDRS; i++) {
		__u64 used = ((__u64)i - match->nr_cidrs) >> 63;

		matched |= used & (in_cidr(a, &match->cidrs[i]) | in_cidr(b, &match->cidrs[i]));
	}
	return matched;
}

static __always_inline __u64 match_ports(const struct pd_rule *rule, __u64 a, __u64 b)
{
	__u64 matched = is_zero(rule->nr_ports);
	__u32 i;

	for (i = 0; i < PD_MAX_PORTS; i++) {
		__u64 used = ((__u64)i - rule->nr_ports) >> 63;
		__u64 first = rule->ports[i].first, last = rule->ports[i].last;
		/* The top bit of a difference is set if it is negative. */
		__u64 out_a = ((a - first) | (last - a)) >> 63;
		__u64 out_b = ((b - first) | (last - b)) >> 63;

		matched |= used & ((out_a ^ 1) | (out_b ^ 1));
	}
	return matched;
}

/* As the default rule, which is all there is without a policy. */
static __always_inline int asks_nothing(const struct pd_rule *rule)
{
	return !(rule->client.has_cgroups | rule->client.nr_cidrs | rule->server.has_cgroups |
		 rule->server.nr_cidrs | rule->nr_ports);
}

/* What rule @index says of the connection that @skops is about. At the active
 * end the server's own address, port and cgroup are not known yet: what they
 * could still change counts in favour, since the passive end judges again with
 * all at hand. There the note of the active end is in pd_handshakes.
 *
 * A function of its own for the verifier, as match_glob(); it can be given the
 * context and numbers only, so it reads the addresses itself.
 */
__weak int judge_rule(struct bpf_sock_ops *skops, __u64 generation, __u32 index, __u64 client_globs,
		      __u64 server_globs)
{
	__u32 passive = read_field(skops, op) == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB;
	struct pd_addr local, remote, client, client_seen, server, dialled;
	__u64 client_ok, server_ok;
	struct pd_rule *rule;
	void *rules;

	rules = bpf_map_lookup_elem(&pd_rules, &generation);
	if (!rules)
		return JUDGED_GONE;
	rule = bpf_map_lookup_elem(rules, &index);
	if (!rule)
		return JUDGED_END;
	if (asks_nothing(rule))
		return rule->action == PD_ACTION_ACCELERATE ? JUDGED_ACCELERATE : JUDGED_BYPASS;
	read_addrs(skops, &local, &remote);
	if (passive) {
		struct pd_key active = {
			.isn_active = read_field(skops, rcv_nxt),
			.isn_passive = read_field(skops, snd_nxt),
			.role = PD_ROLE_ACTIVE,
		};
		struct pd_note *note = bpf_map_lookup_elem(&pd_handshakes, &active);

		if (!note)
			return JUDGED_NO_MATCH;
		client = note->local;
		client_seen = remote;
		server = local;
		dialled = note->remote;
	} else {
		client = local;
		client_seen = local;
		server = remote;
		dialled = remote;
	}

	/* x ^ 1 negates: each term is 0 or 1. */
	client_ok = is_zero(rule->client.has_cgroups) |
		    (is_zero(rule->client.cgroups & client_globs) ^ 1);
	client_ok &= match_cidrs(&rule->client, &client, &client_seen);
	server_ok = is_zero(rule->server.has_cgroups) |
		    (is_zero(rule->server.cgroups & server_globs) ^ 1);
	server_ok &= match_cidrs(&rule->server, &server, &dialled);
	server_ok &= match_ports(rule, server.port, dialled.port);
	if (!client_ok)
		return JUDGED_NO_MATCH;
	if (rule->action == PD_ACTION_ACCELERATE)
		return server_ok || !passive ? JUDGED_ACCELERATE : JUDGED_NO_MATCH;
	return server_ok ? JUDGED_BYPASS : JUDGED_NO_MATCH;
}

/* The first rule that matches decides: *rule is its index, or PD_MAX_RULES if
 * there is no policy at all.
 */
static __noinline int judge(struct bpf_sock_ops *skops, __u64 generation, __u64 client_globs,
			    __u64 server_globs, __u32 *rule)
{
	__u32 i;

	for (i = 0; i <= PD_MAX_RULES; i++) {
		int said = judge_rule(skops, generation, i, client_globs, server_globs);

		if (said == JUDGED_NO_MATCH)
			continue;
		if (said != JUDGED_END)
			*rule = i;
		return said;
	}
	return JUDGED_BYPASS;
}

#endif /* PD_POLICY_BPF_H */
