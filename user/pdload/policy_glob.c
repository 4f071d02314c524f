/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroup patterns as automata that a BPF program can run.
 *
 * A token is what takes one byte: a byte, '?' or a set. Stars take no state of
 * their own: a star before token i lets state i stay where it is.
 */
#include <errno.h>
#include <string.h>

#include "policy.h"

struct set {
	bool has[256];
};

static void add_token(struct pd_glob *glob, const struct set *set)
{
	__u32 at = glob->accept++;
	int c;

	for (c = 0; c < 256; c++)
		if (set->has[c])
			glob->step[c][at / 64] |= 1ULL << at % 64;
}

static bool has_bit(const __u64 words[PD_GLOB_WORDS], __u32 at)
{
	return words[at / 64] >> at % 64 & 1;
}

/* True if the last token is '/' and no star follows it. */
static bool ends_with_slash(const struct pd_glob *glob)
{
	return glob->accept && !has_bit(glob->loop, glob->accept) &&
	       has_bit(glob->step['/'], glob->accept - 1);
}

/* One member of a set at *@text, past a backslash if there is one. */
static int set_member(const char **text, const char **why)
{
	const unsigned char *s = (const unsigned char *)*text;

	if (*s == '\\')
		s++;
	if (!*s) {
		*why = "a '[' without its ']'; expected a set such as [abc], [a-z] or [!x]";
		return -EINVAL;
	}
	if (*s == '/') {
		*why = "a '/' in a set; expected other characters, as sets match within one name";
		return -EINVAL;
	}
	if (*s >= 0x80) {
		*why = "a character beyond ASCII in a set; expected ASCII, or '?' for each of its bytes";
		return -EINVAL;
	}
	*text = (const char *)s + 1;
	return *s;
}

/* The set whose '[' stands before *@text; leaves *@text after its ']'. */
static int parse_set(const char **text, struct set *set, const char **why)
{
	bool negated = **text == '!';
	int first, last, c;

	if (negated)
		++*text;
	if (**text == '^') {
		*why = "'^' at the start of a set; expected '!' to negate it, or '\\^' for itself";
		return -EINVAL;
	}
	if (**text == ']') {
		*why = "an empty set; expected a character, or '\\]' for itself";
		return -EINVAL;
	}
	while (**text != ']') {
		first = set_member(text, why);
		if (first < 0)
			return first;
		last = first;
		if (**text == '-' && (*text)[1] != ']') {
			++*text;
			last = set_member(text, why);
			if (last < 0)
				return last;
		}
		if (first > last) {
			*why = "a range in a set that ends before it starts; expected one such as a-z";
			return -EINVAL;
		}
		for (c = first; c <= last; c++)
			set->has[c] = true;
	}
	++*text;
	if (negated)
		for (c = 1; c < 256; c++)
			set->has[c] = !set->has[c];
	set->has['/'] = false;
	return 0;
}

/* The token at *@text, which is no star. */
static int parse_token(const char **text, struct set *set, const char **why)
{
	char c = *(*text)++;

	if (c == '[')
		return parse_set(text, set, why);
	if (c == '?') {
		memset(set->has + 1, true, 255);
		set->has['/'] = false;
		return 0;
	}
	if (c == '\\') {
		c = *(*text)++;
		if (!c) {
			*why = "a '\\' at the end; expected a character after it";
			return -EINVAL;
		}
	}
	set->has[(unsigned char)c] = true;
	return 0;
}

static int parse(struct pd_glob *glob, const char *text, const char **why)
{
	int err;

	while (*text) {
		struct set set = { 0 };

		if (*text == '*') {
			size_t stars = strspn(text, "*");
			__u64 bit = 1ULL << glob->accept % 64;

			glob->loop[glob->accept / 64] |= bit;
			if (stars > 1)
				glob->loop_slash[glob->accept / 64] |= bit;
			text += stars;
			continue;
		}
		if (glob->accept == PD_GLOB_TOKENS) {
			*why = "a pattern that is too long; expected at most 255 characters";
			return -E2BIG;
		}
		err = parse_token(&text, &set, why);
		if (err)
			return err;
		if (set.has['/'] && ends_with_slash(glob)) {
			*why = "an empty name between two '/'; expected one '/'";
			return -EINVAL;
		}
		add_token(glob, &set);
	}
	return 0;
}

int pd_glob__compile(struct pd_glob *glob, const char *text, const char **why)
{
	size_t len = strlen(text), i;
	int err;

	memset(glob, 0, sizeof(*glob));
	if (len >= sizeof(glob->text)) {
		*why = "a pattern that is too long; expected at most 255 characters";
		return -E2BIG;
	}
	if (text[0] != '/' && strncmp(text, "**", 2)) {
		*why = "a pattern that does not begin at the root; expected '/' or '**' first";
		return -EINVAL;
	}
	for (i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			*why = "a control character; expected printable text";
			return -EINVAL;
		}
	}
	memcpy(glob->text, text, len + 1);
	err = parse(glob, text, why);
	if (err)
		return err;

	/* Paths do not end with '/'; "/" alone is the root and all below it. */
	if (ends_with_slash(glob)) {
		__u32 at = --glob->accept;

		glob->step['/'][at / 64] &= ~(1ULL << at % 64);
		if (!at)
			glob->loop[0] = glob->loop_slash[0] = 1;
	}
	return 0;
}

bool pd_glob__match(const struct pd_glob *glob, const char *path)
{
	__u64 state[PD_GLOB_WORDS] = { 1 };
	const unsigned char *s;
	int w;

	for (s = (const unsigned char *)path; *s; s++) {
		const __u64 *loop = *s == '/' ? glob->loop_slash : glob->loop;
		__u64 carry = 0;

		if (*s == '/' && has_bit(state, glob->accept))
			return true;
		for (w = 0; w < PD_GLOB_WORDS; w++) {
			__u64 taken = state[w] & glob->step[*s][w];

			state[w] = taken << 1 | carry | (state[w] & loop[w]);
			carry = taken >> 63;
		}
	}
	return has_bit(state, glob->accept);
}
