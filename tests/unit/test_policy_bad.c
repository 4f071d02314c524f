/* SPDX-License-Identifier: GPL-2.0-only */
/* Policy files that are refused: where, and in which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy.h"
#include "policy_yaml.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* Four lines; what follows belongs to rule "a", from line 5. */
#define RULE "version: 1\nrules:\n  - name: a\n    action: bypass\n"
#define CLIENT RULE "    client: "
#define SERVER RULE "    server: "

/* A string that may hold NULs, and its length. */
#define T(s) (s), sizeof(s) - 1

struct bad {
	const char *text;
	size_t len;
	size_t line, column;
	const char *words; /* in the message */
};

static const struct bad bad[] = {
	/* the document */
	{ T(""), 1, 1, "found an empty file; expected \"version: 1\"" },
	{ T("\n\n"), 1, 1, "found an empty file" },
	{ T("# nothing but words\n"), 1, 1, "found an empty file" },
	{ T("---\n"), 2, 1, "found nothing; expected a policy: a mapping" },
	{ T("~\n"), 1, 1, "found nothing; expected a policy" },
	{ T("hello\n"), 1, 1, "found \"hello\"; expected a policy: a mapping" },
	{ T("- version: 1\n"), 1, 1, "found a list; expected a policy" },
	{ T("{}\n"), 1, 1, "found no key \"version\"" },
	{ T("version: 1\n---\nversion: 1\n"), 2, 1, "found a second document" },
	{ T("version: 1\n...\n---\n{}\n"), 3, 1, "found a second document" },
	{ T("%YAML 1.1\n---\nversion: 1\n"), 1, 1, "found a YAML directive" },
	{ T("version: 1\n%TAG ! x\n"), 2, 1, "found a YAML directive" },
	/* bytes */
	{ T("version: 1\ndefault: \xff\n"), 2, 10,
	  "found byte 0xff; expected printable text in UTF-8" },
	{ T("version: 1\n# \xc3\xbc \xc3(\n"), 2, 5, "found byte 0xc3" },
	{ T("version: 1 # \xe2\x82\n"), 1, 14, "found byte 0xe2" },
	{ T("version: 1 # \xc0\xaf\n"), 1, 14, "found byte 0xc0" },
	{ T("version: 1 # \xed\xa0\x80\n"), 1, 14, "found byte 0xed" },
	{ T("version: 1 # \xf4\x90\x80\x80\n"), 1, 14, "found byte 0xf4" },
	{ T("\xff\xfev\0e\0r\0"), 1, 1, "found byte 0xff" },
	{ T("version: 1\n\0"), 2, 1, "found byte 0x00" },
	{ T("version: 1\r\ndefault:\r\n  \x1b[0m\n"), 3, 3, "found byte 0x1b" },
	{ T("version: 1 # a \xc2\x85 b\n"), 1, 16, "found byte 0xc2" },
	/* YAML */
	{ T("version: 1\ndefault: [\n"), 3, 1, "found broken YAML" },
	{ T("version: 1\ndefault: bypass\n  rules: []\n"), 3, 8, "found broken YAML" },
	{ T("version: 1\n default: bypass\n"), 2, 9, "found broken YAML" },
	{ T("version: 1\ndefault: \"bypass\n"), 3, 1,
	  "found broken YAML: while scanning a quoted" },
	{ T("version: 1\nrules:\n\t- name: a\n"), 3, 1, "(a tab?); expected spaces" },
	{ T("version: 1\ndefault: @x\n"), 2, 10, "cannot begin a value" },
	{ T("version: &v 1\n"), 1, 10, "found an anchor" },
	{ T("version: 1\nrules: &r\n  - {}\n"), 2, 8, "found an anchor" },
	{ T("version: 1\nrules: &r []\n"), 2, 8, "found an anchor" },
	{ T("version: 1\ndefault: *d\n"), 2, 10, "found an alias; expected a value" },
	{ T("<<: *base\n"), 1, 5, "found an alias" },
	{ T("version: !!int 1\n"), 1, 10, "found a tag" },
	{ T("version: ! 1\n"), 1, 10, "found a tag" },
	{ T("version: 1\nrules: !x []\n"), 2, 8, "found a tag" },
	{ T("version: 1\nrules: [[[[[[[[]]]]]]]]\n"), 2, 15, "nested too deeply" },
	/* keys of the file */
	{ T("version: 1\nVersion: 1\n"), 2, 1,
	  "found the key \"Version\"; expected version, default or rules in a policy" },
	{ T("version: 1\nversion: 1\n"), 2, 1, "found the key \"version\" again, first on line 1" },
	{ T("version: 1\n? [a]\n: b\n"), 2, 3,
	  "found a list as a key; expected version, default or rules in a policy" },
	{ T("version: 1\n? {a: b}\n: b\n"), 2, 3, "found a mapping as a key" },
	{ T("version: 1\n~: b\n"), 2, 1, "found nothing as a key" },
	{ T("version: 1\n<<: {default: bypass}\n"), 2, 1, "found the key \"<<\"" },
	{ T("default: bypass\n"), 1, 1, "found no key \"version\"; expected one in a policy" },
	{ T("version: 2\n"), 1, 10, "found \"2\"; expected the number 1" },
	{ T("version: 1.0\n"), 1, 10, "found \"1.0\"" },
	{ T("version: \"1\"\n"), 1, 10, "expected the number 1" },
	{ T("version:\n"), 1, 9, "found nothing; expected the number 1" },
	{ T("version: [1]\n"), 1, 10, "found a list; expected the number 1" },
	{ T("version: 1\ndefault: allow\n"), 2, 10,
	  "found \"allow\"; expected accelerate or bypass" },
	{ T("version: 1\ndefault: Bypass\n"), 2, 10, "found \"Bypass\"" },
	{ T("version: 1\ndefault:\n"), 2, 9, "found nothing; expected accelerate or bypass" },
	{ T("version: 1\ndefault: [bypass]\n"), 2, 10, "found a list" },
	{ T("version: 1\ndefault: \"bypass\\0\"\n"), 2, 10, "found \"bypass?\"" },
	{ T("version: 1\nrules:\n"), 2, 7, "found nothing; expected a list of rules" },
	{ T("version: 1\nrules: {name: a}\n"), 2, 8, "found a mapping; expected a list of rules" },
	{ T("version: 1\nrules: bypass\n"), 2, 8, "found \"bypass\"; expected a list of rules" },
	/* rules */
	{ T("version: 1\nrules:\n  - redis\n"), 3, 5,
	  "found \"redis\"; expected a rule: a mapping" },
	{ T("version: 1\nrules:\n  -\n"), 3, 4, "found nothing; expected a rule" },
	{ T("version: 1\nrules:\n  - []\n"), 3, 5, "found a list; expected a rule" },
	{ T("version: 1\nrules:\n  - name: a\n"), 3, 5,
	  "found no key \"action\"; expected one in a rule" },
	{ T("version: 1\nrules:\n  - action: bypass\n"), 3, 5, "found no key \"name\"" },
	{ T(RULE "    action: bypass\n"), 5, 5, "found the key \"action\" again, first on line 4" },
	{ T(RULE "    ports: [1]\n"), 5, 5,
	  "found the key \"ports\"; expected name, action, client or server in a rule" },
	{ T(RULE "  - name: a\n    action: bypass\n"), 5, 11, "found a second rule named \"a\"" },
	{ T("version: 1\nrules:\n  - name: default\n"), 3, 11,
	  "found \"default\", which is the name of" },
	{ T("version: 1\nrules:\n  - name:\n"), 3, 10, "found nothing; expected a rule name" },
	{ T("version: 1\nrules:\n  - name: \"\"\n"), 3, 11, "found \"\"; expected a rule name" },
	{ T("version: 1\nrules:\n  - name: [a]\n"), 3, 11, "found a list; expected a rule name" },
	{ T("version: 1\nrules:\n  - name: a b\n"), 3, 11, "found \"a b\"; expected a rule name" },
	{ T("version: 1\nrules:\n  - name: gr\xc3\xbcn\n"), 3, 11, "found \"gr??n\"" },
	{ T("version: 1\nrules:\n  - name: |\n      a\n"), 3, 11, "found \"a?\"" },
	{ T("version: 1\nrules:\n  - name: \"a\\u001b[2J\"\n"), 3, 11, "found \"a?[2J\"" },
	{ T("version: 1\nrules:\n  - name: a23456789012345678901234567890b2\n"), 3, 11,
	  "found a name of 32 characters; expected at most 31" },
	{ T("version: 1\nrules:\n  - name: a\n    action: drop\n"), 4, 13,
	  "found \"drop\"; expected" },
	{ T("version: 1\nrules:\n  - name: a\n    action: null\n"), 4, 13,
	  "found nothing; expected" },
	/* one end */
	{ T(CLIENT "{}\n"), 5, 13, "found an empty mapping; expected at least one key" },
	{ T(RULE "    client:\n"), 5, 12, "found nothing; expected client: a mapping" },
	{ T(CLIENT "web\n"), 5, 13,
	  "found \"web\"; expected client: a mapping with the keys cgroup, container or cidr" },
	{ T(CLIENT "{ports: 80}\n"), 5, 14,
	  "found the key \"ports\"; expected cgroup, container or cidr in client" },
	{ T(SERVER "{port: 80}\n"), 5, 14,
	  "found the key \"port\"; expected cgroup, container, cidr or ports in server" },
	{ T(SERVER "{ports: 80, ports: 81}\n"), 5, 25, "found the key \"ports\" again" },
	{ T(SERVER "{cgroup: /a, container: web}\n"), 5, 26,
	  "found the key \"container\" beside \"cgroup\"; expected cgroup or container, not both" },
	{ T(SERVER "{container: web, cgroup: /a}\n"), 5, 30,
	  "expected cgroup or container, not both" },
	/* cgroups */
	{ T(CLIENT "{cgroup: }\n"), 5, 22, "found nothing; expected a cgroup pattern" },
	{ T(CLIENT "{cgroup: []}\n"), 5, 22,
	  "found an empty list; expected at least one value for \"cgroup\"" },
	{ T(CLIENT "{cgroup: [/a, [/b]]}\n"), 5, 27, "found a list; expected a cgroup pattern" },
	{ T(CLIENT "{cgroup: machine.slice}\n"), 5, 22, "does not begin at the root" },
	{ T(CLIENT "{cgroup: ../a}\n"), 5, 22, "in the cgroup pattern \"../a\" found" },
	{ T(CLIENT "{cgroup: \"/a[b\"}\n"), 5, 22, "'[' without its ']'" },
	{ T(CLIENT "{cgroup: /a//b}\n"), 5, 22, "an empty name between two '/'" },
	{ T(CLIENT "{cgroup: [\"/a\", \"/a\\tb\"]}\n"), 5, 29, "a control character" },
	{ T(CLIENT "{cgroup: \"/a\\0b\"}\n"), 5, 22, "found \"/a?b\"; expected a cgroup pattern" },
	{ T(CLIENT "{cgroup: **/redis}\n"), 5, 22, "to stand in quotes" },
	{ T(CLIENT "{cgroup: *redis}\n"), 5, 22,
	  "a pattern that begins with '*' must stand in quotes" },
	/* containers */
	{ T(CLIENT "{container: nosuch}\n"), 5, 25,
	  "found no container named \"nosuch\"; expected one that podman or docker knows "
	  "(create it first, it need not run)" },
	{ T(CLIENT "{container: [web, nosuch]}\n"), 5, 31, "found no container named \"nosuch\"" },
	{ T(CLIENT "{container: broken}\n"), 5, 25,
	  "cannot be looked up: podman or docker failed" },
	{ T(CLIENT "{container: oddid}\n"), 5, 25, "an id that is not 64 digits" },
	{ T(CLIENT "{container: -a}\n"), 5, 25, "expected the name of a container" },
	{ T(CLIENT "{container: \"a*\"}\n"), 5, 25, "expected the name of a container" },
	{ T(CLIENT "{container: {name: web}}\n"), 5, 25, "found a mapping; expected the name" },
	/* networks */
	{ T(CLIENT "{cidr: 10.0.0.0}\n"), 5, 20,
	  "found the address \"10.0.0.0\"; expected a network: \"10.0.0.0/32\"" },
	{ T(CLIENT "{cidr: \"fd00::1\"}\n"), 5, 20, "expected a network: \"fd00::1/128\"" },
	{ T(CLIENT "{cidr: 10.88.3.1/16}\n"), 5, 20,
	  "found \"10.88.3.1/16\", which has host bits set; expected \"10.88.0.0/16\"" },
	{ T(CLIENT "{cidr: 10.0.0.1/0}\n"), 5, 20, "expected \"0.0.0.0/0\"" },
	{ T(CLIENT "{cidr: \"fd00::1/8\"}\n"), 5, 20, "expected \"fd00::/8\"" },
	{ T(CLIENT "{cidr: \"fd00:1:c000::/33\"}\n"), 5, 20, "expected \"fd00:1:8000::/33\"" },
	{ T(CLIENT "{cidr: 10.0.0.0/33}\n"), 5, 20, "expected a prefix length from 0 to 32" },
	{ T(CLIENT "{cidr: \"fd00::/129\"}\n"), 5, 20, "expected a prefix length from 0 to 128" },
	{ T(CLIENT "{cidr: 10.0.0.0/}\n"), 5, 20, "expected a prefix length" },
	{ T(CLIENT "{cidr: 10.0.0.0/08}\n"), 5, 20, "expected a prefix length" },
	{ T(CLIENT "{cidr: 10.0.0.0/-1}\n"), 5, 20, "expected a prefix length" },
	{ T(CLIENT "{cidr: 10.0.0.0/8/8}\n"), 5, 20, "expected a prefix length" },
	{ T(CLIENT "{cidr: 10.0.0.0/255.0.0.0}\n"), 5, 20, "expected a prefix length" },
	{ T(CLIENT "{cidr: 10.0.0/8}\n"), 5, 20, "found \"10.0.0/8\"; expected a network such as" },
	{ T(CLIENT "{cidr: 256.0.0.0/8}\n"), 5, 20, "expected a network such as" },
	{ T(CLIENT "{cidr: localhost/8}\n"), 5, 20, "expected a network such as" },
	{ T(CLIENT "{cidr: \"fe80::1%eth0/64\"}\n"), 5, 20, "expected a network such as" },
	{ T(CLIENT "{cidr: \"1111:1111:1111:1111:1111:1111:1111:111100000000000/64\"}\n"), 5, 20,
	  "found \"1111:1111:1111:1111:1111:1111:1111:1111000000000...\"; expected a network" },
	{ T(CLIENT "{cidr: []}\n"), 5, 20, "found an empty list" },
	{ T(CLIENT "{cidr: [10.0.0.0/8, ~]}\n"), 5, 33, "found nothing; expected a network" },
	/* ports */
	{ T(SERVER "{ports: }\n"), 5, 21, "found nothing; expected a port from 1 to 65535" },
	{ T(SERVER "{ports: []}\n"), 5, 21, "found an empty list" },
	{ T(SERVER "{ports: 0}\n"), 5, 21, "found \"0\"; expected a port from 1 to 65535" },
	{ T(SERVER "{ports: 65536}\n"), 5, 21, "found \"65536\"" },
	{ T(SERVER "{ports: 100000000000000000000}\n"), 5, 21, "expected a port" },
	{ T(SERVER "{ports: -80}\n"), 5, 21, "found \"-80\"" },
	{ T(SERVER "{ports: 080}\n"), 5, 21, "found \"080\"" },
	{ T(SERVER "{ports: 0x50}\n"), 5, 21, "found \"0x50\"" },
	{ T(SERVER "{ports: 80.5}\n"), 5, 21, "found \"80.5\"" },
	{ T(SERVER "{ports: http}\n"), 5, 21, "found \"http\"" },
	{ T(SERVER "{ports: 80-}\n"), 5, 21, "found \"80-\"" },
	{ T(SERVER "{ports: 80-0}\n"), 5, 21, "found \"80-0\"" },
	{ T(SERVER "{ports: 1-2-3}\n"), 5, 21, "found \"1-2-3\"" },
	{ T(SERVER "{ports: 80 - 90}\n"), 5, 21, "found \"80 - 90\"" },
	{ T(SERVER "{ports: 90-80}\n"), 5, 21,
	  "found \"90-80\", whose first port is above its last; expected \"80-90\"" },
	{ T(SERVER "{ports: [80, {a: b}]}\n"), 5, 26, "found a mapping; expected a port" },
};

static int resolve(const char *name, char id[65])
{
	if (!strcmp(name, "nosuch"))
		return -ENOENT;
	if (!strcmp(name, "broken"))
		return -EIO;
	memset(id, 'a', 64);
	id[strcmp(name, "oddid") ? 64 : 63] = '\0';
	return 0;
}

/* Says in the output what is wrong with the refusal. */
static bool is_refused(const struct bad *b)
{
	struct pd_policy_error err = { "accepted" };
	char *exact = malloc(b->len ? b->len : 1);
	struct pd_policy *policy;
	char where[64];

	/* No byte after the end, so that reading it is found out. */
	assert_non_null(exact);
	memcpy(exact, b->text, b->len);
	policy = pd_policy__parse("FILE", exact, b->len, resolve, &err);
	free(exact);
	pd_policy__free(policy);
	snprintf(where, sizeof(where), "FILE:%zu:%zu: ", b->line, b->column);
	if (!policy && !strncmp(err.text, where, strlen(where)) && strstr(err.text, b->words))
		return true;
	print_error("expected '%s%s', got '%s' for:\n%.200s\n", where, b->words, err.text, b->text);
	return false;
}

static void each_bad_file_is_refused_at_its_line_and_column(void **state)
{
	size_t i, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		wrong += !is_refused(&bad[i]);
	assert_int_equal(wrong, 0);
}

/* A whole file would also do without the end of its last line, but no file may
 * be cut anywhere else: whatever is left is parsed or refused, never worse.
 */
static void a_file_cut_anywhere_is_handled(void **state)
{
	static const char text[] = SERVER "{cgroup: [\"/a[b-d]*\", \"**/\\u00fc\"], cidr: "
					  "[10.0.0.0/8, \"fd00::/8\"], ports: [1, \"2-3\"]}\n";
	struct pd_policy_error err;
	struct pd_policy *policy;
	size_t len;
	char *cut;

	for (len = 0; len < sizeof(text) - 1; len++) {
		cut = malloc(len ? len : 1);
		assert_non_null(cut);
		memcpy(cut, text, len);
		err.text[0] = '\0';
		policy = pd_policy__parse("FILE", cut, len, resolve, &err);
		assert_true(policy || !strncmp(err.text, "FILE:", 5));
		pd_policy__free(policy);
		free(cut);
	}
}

/* ---- too many ------------------------------------------------------------- */

/* @head, then @nr times @item with its number for each %d, then @tail. */
static char *repeat(const char *head, const char *item, int nr, const char *tail)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int i;

	assert_non_null(out);
	fputs(head, out);
	for (i = 0; i < nr; i++) {
		const char *s;

		for (s = item; *s; s++)
			if (*s == '#')
				fprintf(out, "%d", i + 1);
			else
				fputc(*s, out);
	}
	fputs(tail, out);
	fclose(out);
	return text;
}

/* @most of @item are taken; one more is refused at @line and @column. */
static void expect_limit(const char *head, const char *item, int most, const char *tail,
			 struct bad refused)
{
	char *text = repeat(head, item, most, tail);
	struct pd_policy_error err;
	struct pd_policy *policy;

	policy = pd_policy__parse("FILE", text, strlen(text), resolve, &err);
	if (!policy)
		fail_msg("%s", err.text);
	pd_policy__free(policy);
	free(text);

	text = repeat(head, item, most + 1, tail);
	refused.text = text;
	refused.len = strlen(text);
	assert_true(is_refused(&refused));
	free(text);
}

static void one_more_than_the_most_is_refused_where_it_stands(void **state)
{
	expect_limit("version: 1\nrules:\n", "  - {name: r#, action: bypass}\n", PD_MAX_RULES, "",
		     (struct bad){ .line = 67, .column = 5, .words = "one rule too many" });
	expect_limit(RULE "    client:\n      cidr:\n", "        - 10.#.0.0/16\n", PD_MAX_CIDRS, "",
		     (struct bad){ .line = 15, .column = 11, .words = "one network too many" });
	expect_limit(
		RULE "    server:\n      ports:\n", "        - #-8000\n", PD_MAX_PORTS, "",
		(struct bad){ .line = 23, .column = 11, .words = "one port or range too many" });
	expect_limit(RULE "    server:\n      cgroup:\n", "        - /a#\n", PD_MAX_GLOBS, "",
		     (struct bad){ .line = 71,
				   .column = 11,
				   .words = "one cgroup pattern or container too many" });
	/* in several rules together */
	expect_limit(RULE "    server: {container: web}\n",
		     "  - {name: r#, action: bypass, client: {cgroup: /a#}}\n", PD_MAX_RULES - 1,
		     "", (struct bad){ .line = 69, .column = 5, .words = "one rule too many" });
	expect_limit("version: 1\nrules:\n  - name: ", "a", PD_NAME_LEN - 1,
		     "\n    action: bypass\n",
		     (struct bad){ .line = 3, .column = 11, .words = "a name of 32 characters" });
	expect_limit(CLIENT "{cgroup: /", "x", PD_GLOB_TEXT - 2, "}\n",
		     (struct bad){ .line = 5, .column = 22, .words = "too long" });
	expect_limit(CLIENT "{container: ", "x", PD_GLOB_TEXT - 1 - strlen("container:"), "}\n",
		     (struct bad){ .line = 5, .column = 25, .words = "name of a container" });
}

static void a_file_of_a_mebibyte_is_read_and_one_byte_more_is_refused(void **state)
{
	static const char head[] = "version: 1\n#";

	expect_limit(
		head, "x", PD_YAML_BYTES - strlen(head), "",
		(struct bad){ .line = 1, .column = 1, .words = "found more than 1048576 bytes" });
}

/* What made other parsers take hours or all memory. */
static void hostile_files_are_refused_at_once(void **state)
{
	static const struct {
		const char *head, *item, *tail;
		int nr;
	} hostile[] = {
		{ "a: ", "[", "", 1000000 },
		{ "a: ", "{a: ", "", 250000 },
		{ "", "- ", "", 500000 },
		{ "", "? ", "", 500000 },
		{ "", "%TAG !a#! x\n", "", 60000 },
		{ "version: 1\nrules: [", "a,", "]\n", 500000 },
		{ "version: 1\nrules: [", "[],", "]\n", 340000 },
		{ "version: 1\n", "a#: b\n", "", 80000 },
		{ "a: &a [x]\n", "b#: [*a, *a, *a]\n", "", 40000 },
		{ "version: 1\ndefault: ", "x", "\n", 1000000 },
		{ "version: 1\ndefault: \"", "\\\n", "\"\n", 500000 },
		{ RULE "    server: {cgroup: \"", "[a-z]", "\"}\n", 200000 },
		{ RULE "    server: {cgroup: [", "\"/a\",", "]}\n", 200000 },
		{ "version: 1\n", "---\n", "", 250000 },
		{ "", "a\n", "", 500000 },
		{ "", "'", "", 1000000 },
		{ "", "# \n", "", 340000 },
	};
	struct pd_policy_error err;
	struct pd_policy *policy;
	size_t i;
	char *text;

	for (i = 0; i < ARRAY_SIZE(hostile); i++) {
		text = repeat(hostile[i].head, hostile[i].item, hostile[i].nr, hostile[i].tail);
		alarm(20);
		policy = pd_policy__parse("FILE", text, strlen(text), resolve, &err);
		alarm(0);
		free(text);
		if (policy)
			fail_msg("accepted: %s%s...", hostile[i].head, hostile[i].item);
		assert_int_equal(strncmp(err.text, "FILE:", 5), 0);
	}
}

/* ---- files ---------------------------------------------------------------- */

static void a_file_that_cannot_be_read_is_refused_with_its_reason(void **state)
{
	struct pd_policy_error err;
	char long_name[3000];

	assert_null(pd_policy__parse_file("/nonexistent/policy", resolve, &err));
	assert_string_equal(err.text, "/nonexistent/policy: cannot be read: No such file or "
				      "directory; expected a policy file");
	assert_null(pd_policy__parse_file("/", resolve, &err));
	assert_non_null(strstr(err.text, "Is a directory"));
	assert_null(pd_policy__parse_file("", resolve, &err));
	/* A long name does not push the reason out of the message. */
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_null(pd_policy__parse_file(long_name, resolve, &err));
	assert_non_null(strstr(err.text, "File name too long"));
}

static void an_endless_file_is_refused(void **state)
{
	struct pd_policy_error err;

	assert_null(pd_policy__parse_file("/dev/zero", resolve, &err));
	assert_string_equal(err.text,
			    "/dev/zero:1:1: found more than 1048576 bytes; expected a policy");
	assert_null(pd_policy__parse_file("/dev/null", resolve, &err));
	assert_string_equal(err.text,
			    "/dev/null:1:1: found an empty file; expected \"version: 1\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_file_is_refused_at_its_line_and_column),
		cmocka_unit_test(a_file_cut_anywhere_is_handled),
		cmocka_unit_test(one_more_than_the_most_is_refused_where_it_stands),
		cmocka_unit_test(a_file_of_a_mebibyte_is_read_and_one_byte_more_is_refused),
		cmocka_unit_test(hostile_files_are_refused_at_once),
		cmocka_unit_test(a_file_that_cannot_be_read_is_refused_with_its_reason),
		cmocka_unit_test(an_endless_file_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
