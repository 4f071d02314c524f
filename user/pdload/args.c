/* SPDX-License-Identifier: GPL-2.0-only */
/* What the command lines of several verbs have in common. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"

enum { OPT_JSON = 0x4a01 }; /* no short form */

static error_t parse_json(int key, char *arg, struct argp_state *state)
{
	if (key != OPT_JSON)
		return ARGP_ERR_UNKNOWN;
	pd_json = true;
	return 0;
}

static error_t parse_none(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "unexpected argument '%s'", arg);
	return parse_json(key, arg, state);
}

static const struct argp_option json_option[] = {
	{ "json", OPT_JSON, NULL, 0, "Print JSON; may stand before or after the verb", 0 },
	{ 0 },
};
static const struct argp json_argp = { .options = json_option, .parser = parse_json };
static const struct argp none_argp = { .options = json_option, .parser = parse_none };

const struct argp_child pd_args_json[] = { { .argp = &json_argp }, { 0 } };
const struct argp_child pd_args_none[] = { { .argp = &none_argp }, { 0 } };

int pd_args__take_json(int argc, char **argv)
{
	int kept = 0;
	int i;

	for (i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		if (i && !strcmp(argv[i], "--json"))
			pd_json = true;
		else
			argv[kept++] = argv[i];
	}
	while (i < argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	return kept;
}

__u64 pd_args__number(const struct argp_state *state, const char *option, const char *text,
		      __u64 min, __u64 max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	/* strtoull() takes "-1" and " 1" as well. */
	if (!isdigit((unsigned char)*text) || *end || errno || value < min || value > max)
		argp_error(state, "%s takes a whole number from %llu to %llu, not '%s'", option,
			   (unsigned long long)min, (unsigned long long)max, text);
	return value;
}

__u64 pd_args__bytes(const struct argp_state *state, const char *option, const char *text,
		     __u64 min, __u64 max, const char *takes)
{
	static const char units[] = "kmg";
	unsigned long long value;
	const char *unit;
	int shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (!isdigit((unsigned char)*text) || *end || errno || value > max >> shift ||
	    value << shift < min)
		argp_error(state, "%s takes %s, not '%s'", option, takes, text);
	return value << shift;
}
