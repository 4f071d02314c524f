/* SPDX-License-Identifier: GPL-2.0-only */
/* include/pd_maps.h: one layout for two compilers, and a word for every value
 * that it numbers.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

/* Implicit padding in any structure of this header ends the build here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#include "pd_maps.h"
#pragma GCC diagnostic pop

#include "format.h"
#include "pipedevice.skel.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	size_t size;
} structs[] = {
	/* In the order of the header. pd_conn_record and pd_event are written as
	 * bytes: no type information of them reaches the object.
	 */
	{ "pd_key", sizeof(struct pd_key) },
	{ "pd_addr", sizeof(struct pd_addr) },
	{ "pd_cidr", sizeof(struct pd_cidr) },
	{ "pd_ports", sizeof(struct pd_ports) },
	{ "pd_match", sizeof(struct pd_match) },
	{ "pd_rule", sizeof(struct pd_rule) },
	{ "pd_glob", sizeof(struct pd_glob) },
	{ "pd_control", sizeof(struct pd_control) },
	{ "pd_note", sizeof(struct pd_note) },
	{ "pd_end", sizeof(struct pd_end) },
	{ "pd_conn", sizeof(struct pd_conn) },
	{ "pd_rule_stats", sizeof(struct pd_rule_stats) },
	{ "pd_totals", sizeof(struct pd_totals) },
};

static const struct {
	const char *name;
	size_t key;
	size_t value;
} maps[] = {
	/* 0: the kernel demands none, or it is the descriptor of an inner map */
	{ "pd_handshakes", sizeof(struct pd_key), sizeof(struct pd_note) },
	{ "pd_socks", sizeof(struct pd_key), 0 },
	{ "pd_ends", sizeof(struct pd_key), sizeof(struct pd_end) },
	{ "pd_conns", sizeof(int), sizeof(struct pd_conn) },
	{ "pd_control", sizeof(__u32), sizeof(struct pd_control) },
	{ "pd_rules", sizeof(__u64), 0 },
	{ "pd_globs", sizeof(__u64), 0 },
	{ "pd_rule_stats", sizeof(__u32), sizeof(struct pd_rule_stats) },
	{ "pd_reasons", sizeof(__u32), sizeof(__u64) },
	{ "pd_totals", sizeof(__u32), sizeof(struct pd_totals) },
};

static struct pipedevice *skel;

/* Opening parses the object; the kernel is not asked and no right is needed. */
static int open_object(void **state)
{
	skel = pipedevice__open();
	return skel ? 0 : -1;
}

static int close_object(void **state)
{
	pipedevice__destroy(skel);
	return 0;
}

static size_t member_size(const struct btf *btf, const struct btf_type *type, int i)
{
	return (size_t)btf__resolve_size(btf, btf_members(type)[i].type);
}

/* What the BPF compiler made of each structure, from its type information. */
static void programs_and_pdload_agree_on_every_structure(void **state)
{
	const struct btf *btf = bpf_object__btf(skel->obj);

	assert_non_null(btf);
	for (size_t s = 0; s < NR(structs); s++) {
		int id = btf__find_by_name_kind(btf, structs[s].name, BTF_KIND_STRUCT);
		const struct btf_type *type;
		size_t end = 0;

		if (id < 0)
			fail_msg("no map holds struct %s", structs[s].name);
		type = btf__type_by_id(btf, id);
		if (type->size != structs[s].size)
			fail_msg("struct %s has %u bytes in BPF and %zu in pdload", structs[s].name,
				 type->size, structs[s].size);
		for (int i = 0; i < btf_vlen(type); i++) {
			size_t offset = btf_member_bit_offset(type, i) / 8;

			if (offset != end)
				fail_msg("struct %s has a gap before %s", structs[s].name,
					 btf__name_by_offset(btf, btf_members(type)[i].name_off));
			end = offset + member_size(btf, type, i);
		}
		if (end != type->size)
			fail_msg("struct %s has a gap at its end", structs[s].name);
	}
}

static void every_map_has_the_key_and_value_of_the_header(void **state)
{
	for (size_t m = 0; m < NR(maps); m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, maps[m].name);

		if (!map)
			fail_msg("there is no map %s", maps[m].name);
		if (bpf_map__key_size(map) != maps[m].key)
			fail_msg("%s: key has %u bytes, expected %zu", maps[m].name,
				 bpf_map__key_size(map), maps[m].key);
		if (maps[m].value && bpf_map__value_size(map) != maps[m].value)
			fail_msg("%s: value has %u bytes, expected %zu", maps[m].name,
				 bpf_map__value_size(map), maps[m].value);
	}
}

/* `bpftool map dump` prints fields by name only if key and value have types. */
static void every_map_that_is_dumped_has_type_information(void **state)
{
	for (size_t m = 0; m < NR(maps); m++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, maps[m].name);

		assert_non_null(map);
		if (!maps[m].value)
			continue;
		if (!bpf_map__btf_key_type_id(map) || !bpf_map__btf_value_type_id(map))
			fail_msg("%s: the kernel can't name the fields of its entries",
				 maps[m].name);
	}
}

static void per_reason_and_per_rule_maps_have_room_for_all(void **state)
{
	assert_int_equal(bpf_map__max_entries(skel->maps.pd_reasons), PD_REASON_MAX);
	assert_int_equal(bpf_map__max_entries(skel->maps.pd_rule_stats), PD_MAX_RULES + 1);
	assert_int_equal(bpf_map__max_entries(skel->maps.pd_totals), 1);
	assert_int_equal(bpf_map__max_entries(skel->maps.pd_control), 1);
}

/* The kernel cuts names at 15 characters: two must not become one. */
static void no_name_is_cut_by_the_kernel(void **state)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj) {
		if (!strncmp(bpf_map__name(map), "pd_", 3) && strlen(bpf_map__name(map)) > 15)
			fail_msg("map %s: over 15 characters", bpf_map__name(map));
	}
	bpf_object__for_each_program(prog, skel->obj) {
		if (strlen(bpf_program__name(prog)) > 15)
			fail_msg("program %s: over 15 characters", bpf_program__name(prog));
	}
}

/* Values first..last have a word each, no two the same; those around have none. */
static void check_words(const char *(*name)(__u32), __u32 first, __u32 last)
{
	if (first > 0)
		assert_string_equal(name(first - 1), "unknown");
	assert_string_equal(name(last + 1), "unknown");
	assert_string_equal(name(UINT32_MAX), "unknown");
	for (__u32 i = first; i <= last; i++) {
		const char *word = name(i);

		assert_non_null(word);
		assert_true(strlen(word) > 0);
		if (!strcmp(word, "unknown"))
			fail_msg("value %u has no word", i);
		for (const char *c = word; *c; c++)
			assert_true(islower((unsigned char)*c) || *c == '_' || *c == '-');
		for (__u32 other = first; other < i; other++)
			assert_string_not_equal(word, name(other));
	}
}

static void every_reason_has_a_word_of_its_own(void **state)
{
	check_words(pd_name__reason, PD_REASON_NONE, PD_REASON_MAX - 1);
}

static void every_state_path_and_role_has_a_word_of_its_own(void **state)
{
	check_words(pd_name__state, PD_STATE_CANDIDATE, PD_STATE_CLOSED);
	check_words(pd_name__path, PD_PATH_NONE, PD_PATH_TCP);
	check_words(pd_name__role, PD_ROLE_ACTIVE, PD_ROLE_PASSIVE);
}

static void every_engine_action_and_event_has_a_word_of_its_own(void **state)
{
	check_words(pd_name__engine, PD_ENGINE_TCP, PD_ENGINE_MAX - 1);
	check_words(pd_name__action, PD_ACTION_BYPASS, PD_ACTION_ACCELERATE);
	check_words(pd_name__event, PD_EVENT_OPEN, PD_EVENT_CLOSE);
}

static void reasons_of_a_connection_and_of_a_direction_are_told_apart(void **state)
{
	for (__u32 reason = PD_REASON_NONE; reason < PD_REASON_MAX; reason++)
		assert_int_equal(pd_reason__of_direction(reason), reason >= PD_REASON_RACED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_and_pdload_agree_on_every_structure),
		cmocka_unit_test(every_map_has_the_key_and_value_of_the_header),
		cmocka_unit_test(every_map_that_is_dumped_has_type_information),
		cmocka_unit_test(per_reason_and_per_rule_maps_have_room_for_all),
		cmocka_unit_test(no_name_is_cut_by_the_kernel),
		cmocka_unit_test(every_reason_has_a_word_of_its_own),
		cmocka_unit_test(every_state_path_and_role_has_a_word_of_its_own),
		cmocka_unit_test(every_engine_action_and_event_has_a_word_of_its_own),
		cmocka_unit_test(reasons_of_a_connection_and_of_a_direction_are_told_apart),
	};

	return cmocka_run_group_tests_name("maps", tests, open_object, close_object);
}
