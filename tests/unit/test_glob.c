/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroup patterns: by example, and against a matcher that shares nothing with
 * the automaton but the words of the manual.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

static struct pd_glob glob;

static bool matches(const char *pattern, const char *path)
{
	const char *why = NULL;
	int err = pd_glob__compile(&glob, pattern, &why);

	if (err)
		fail_msg("%s: %s", pattern, why);
	return pd_glob__match(&glob, path);
}

static void examples_match_as_the_manual_says(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool matches;
	} examples[] = {
		{ "/a", "/a", true },
		{ "/a", "/a/b/c", true },
		{ "/a", "/ab", false },
		{ "/a", "/b/a", false },
		{ "/a/", "/a", true },
		{ "/a/", "/a/b", true },
		{ "/a/", "/ab", false },
		{ "/", "/", true },
		{ "/", "/a/b", true },
		{ "**", "/", true },
		{ "**", "/a/b", true },
		{ "/**", "/", true },
		{ "/**", "/a/b", true },
		{ "/*", "/a", true },
		{ "/*", "/a/b", true },
		{ "/a*", "/ab", true },
		{ "/a*", "/a", true },
		{ "/a*c", "/a/c", false },
		{ "/a*c", "/abbc", true },
		{ "/a**c", "/a/b/c", true },
		{ "/a**c", "/a/b/cd", false },
		{ "/a/*/c", "/a/b/c", true },
		{ "/a/*/c", "/a/b/b/c", false },
		{ "/a/**/c", "/a/b/b/c", true },
		{ "/a/**/c", "/a/c", false },
		{ "/kubepods/**", "/kubepods", false },
		{ "/kubepods/**", "/kubepods/pod1", true },
		{ "/kubepods", "/kubepods", true },
		{ "**/redis", "/redis", true },
		{ "**/redis", "/a/b/redis/c", true },
		{ "**/redis", "/a/xredis", false },
		{ "**redis**", "/a/xredisx", true },
		{ "/a?", "/ab", true },
		{ "/a?", "/a", false },
		{ "/a?b", "/a/b", false },
		{ "/[abc]", "/b", true },
		{ "/[abc]", "/d", false },
		{ "/[a-c]x", "/bx", true },
		{ "/[a-cx-z]", "/y", true },
		{ "/[!a-c]", "/d", true },
		{ "/[!a-c]", "/b", false },
		{ "/a[!b]c", "/a/c", false },
		{ "/[a-]", "/-", true },
		{ "/[+-9]x", "/5x", true },
		{ "/a[+-9]x", "/a/x", false },
		{ "/[\\]]", "/]", true },
		{ "/[\\!a]", "/!", true },
		{ "/\\*", "/*", true },
		{ "/\\*", "/a", false },
		{ "/\\[a]", "/[a]", true },
		{ "/\\\\", "/\\", true },
		{ "/a\\?", "/a?", true },
		{ "/machine.slice/libpod-*.scope", "/machine.slice/libpod-0a1b.scope/container",
		  true },
		{ "/gr\xc3\xbc\xc3\x9f", "/gr\xc3\xbc\xc3\x9f/x", true },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(examples); i++)
		if (matches(examples[i].pattern, examples[i].path) != examples[i].matches)
			fail_msg("%s %s %s", examples[i].pattern,
				 examples[i].matches ? "misses" : "matches", examples[i].path);
}

static void a_bad_pattern_is_refused_with_its_reason(void **state)
{
	static const struct {
		const char *pattern, *why;
	} bad[] = {
		{ "", "begin at the root" },
		{ "a", "begin at the root" },
		{ "*", "begin at the root" },
		{ "*/a", "begin at the root" },
		{ "[/]a", "begin at the root" },
		{ "/a[b", "without its ']'" },
		{ "/a[", "without its ']'" },
		{ "/a[b-", "without its ']'" },
		{ "/a[b\\", "without its ']'" },
		{ "/a[]", "empty set" },
		{ "/a[!]", "empty set" },
		{ "/a[^b]", "'^' at the start" },
		{ "/a[b-a]", "ends before it starts" },
		{ "/a[b/c]", "'/' in a set" },
		{ "/a[+-/]", "'/' in a set" },
		{ "/a[\xc3\xbc]", "beyond ASCII" },
		{ "/a\\", "'\\' at the end" },
		{ "/a//b", "empty name" },
		{ "//", "empty name" },
		{ "/a\tb", "control character" },
		{ "/a\x7f", "control character" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *why = "accepted";

		assert_int_equal(pd_glob__compile(&glob, bad[i].pattern, &why),
				 strstr(why, "long") ? -E2BIG : -EINVAL);
		if (!strstr(why, bad[i].why))
			fail_msg("%s: %s", bad[i].pattern, why);
	}
}

static void a_pattern_of_255_bytes_fits_and_one_more_does_not(void **state)
{
	char pattern[PD_GLOB_TEXT + 1], path[PD_GLOB_TEXT + 1];
	const char *why = NULL;

	memset(pattern, 'x', sizeof(pattern));
	pattern[0] = '/';
	pattern[PD_GLOB_TEXT - 1] = '\0';
	assert_true(matches(pattern, pattern));
	assert_int_equal(glob.accept, PD_GLOB_TOKENS);
	strcpy(path, pattern);
	path[PD_GLOB_TEXT - 2] = 'y';
	assert_false(pd_glob__match(&glob, path));
	path[PD_GLOB_TEXT - 2] = '\0';
	assert_false(pd_glob__match(&glob, path));

	strcat(pattern, "x");
	assert_int_equal(pd_glob__compile(&glob, pattern, &why), -E2BIG);
	assert_non_null(strstr(why, "too long"));
}

/* Words of the automaton are 64 bits: a state must get over each border. */
static void long_patterns_match_across_words(void **state)
{
	char pattern[PD_GLOB_TEXT], path[512];
	size_t stars, len;

	for (len = 60; len < 250; len++) {
		memset(pattern, 'a', len);
		pattern[0] = '/';
		strcpy(pattern + len, "**b");
		for (stars = 0; stars < 3; stars++) {
			memset(path, 'a', len);
			path[0] = '/';
			strcpy(path + len, stars == 0 ? "b" : stars == 1 ? "x/b" : "b/b/b");
			assert_true(matches(pattern, path));
			path[len - 1] = 'c';
			assert_false(pd_glob__match(&glob, path));
		}
	}
}

/* ---- the other matcher ---------------------------------------------------- */

/* One token at @p that is no star against byte @c; sets *@next after it. */
static bool one(const char *p, char c, const char **next)
{
	bool negated, in = false;

	if (*p == '\\') {
		*next = p + 2;
		return c == p[1];
	}
	if (*p != '[') {
		*next = p + 1;
		return *p == '?' ? c != '/' : c == *p;
	}
	negated = *++p == '!';
	if (negated)
		p++;
	for (; *p != ']'; p++) {
		char from = *p, to = *p;

		if (p[1] == '-' && p[2] != ']') {
			to = p[2];
			p += 2;
		}
		in |= (unsigned char)c >= (unsigned char)from &&
		      (unsigned char)c <= (unsigned char)to;
	}
	*next = p + 1;
	return c != '/' && in != negated;
}

static bool oracle(const char *p, const char *path)
{
	const char *next;

	if (!*p)
		return !*path || *path == '/';
	if (*p == '*') {
		bool cross = p[1] == '*';

		p += strspn(p, "*");
		for (;; path++) {
			if (oracle(p, path))
				return true;
			if (!*path || (*path == '/' && !cross))
				return false;
		}
	}
	return *path && one(p, *path, &next) && oracle(next, path + 1);
}

static const char *pick(const char *const *from, size_t nr)
{
	return from[random() % nr];
}

static void random_pattern(char *buf)
{
	static const char *const pieces[] = { "a",    "b",     "ab",	   "/",	     "/",
					      "/a",   "*",     "*",	   "**",     "?",
					      "[ab]", "[!a]",  "[a-c]",	   "[!b-c]", "\\*",
					      "\\a",  "[*-c]", "\xc3\xbc", "[b-]" };
	int left = random() % 8;

	strcpy(buf, random() % 2 ? "/" : "**");
	while (left--) {
		const char *piece = pick(pieces, ARRAY_SIZE(pieces));

		if (*piece != '/' || buf[strlen(buf) - 1] != '/')
			strcat(buf, piece);
	}
	/* The '/' at the end has an example of its own. */
	while (buf[strlen(buf) - 1] == '/')
		strcat(buf, "a");
}

static void random_path(char *buf)
{
	static const char *const pieces[] = { "a",  "b", "c",	     "ab", "/a",  "/b",	 "/a/b",
					      "/c", "*", "\xc3\xbc", "-",  "aab", "\xff" };
	int left = random() % 8;

	strcpy(buf, "/");
	while (left--) {
		const char *piece = pick(pieces, ARRAY_SIZE(pieces));

		strcat(buf, piece + (*piece == '/' && buf[strlen(buf) - 1] == '/'));
	}
}

static void random_patterns_match_as_a_simple_matcher_says(void **state)
{
	char pattern[128], path[128];
	int i, j, matched = 0;

	srandom(1);
	for (i = 0; i < 20000; i++) {
		random_pattern(pattern);
		for (j = 0; j < 20; j++) {
			bool expected;

			random_path(path);
			expected = oracle(pattern, path);
			matched += expected;
			if ((j ? pd_glob__match(&glob, path) : matches(pattern, path)) != expected)
				fail_msg("'%s' should %smatch '%s'", pattern,
					 expected ? "" : "not ", path);
		}
	}
	/* Neither answer may be the only one that was tried. */
	assert_in_range(matched, 20000, 380000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_match_as_the_manual_says),
		cmocka_unit_test(a_bad_pattern_is_refused_with_its_reason),
		cmocka_unit_test(a_pattern_of_255_bytes_fits_and_one_more_does_not),
		cmocka_unit_test(long_patterns_match_across_words),
		cmocka_unit_test(random_patterns_match_as_a_simple_matcher_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
