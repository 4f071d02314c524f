/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload help, and the options that stand before the verb. */
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "verbs.h"

enum { OPT_VERSION = 0x5601 }; /* no short form */

static const struct argp_option options[] = {
	{ "version", OPT_VERSION, NULL, 0, "The same as the verb version", 0 },
	{ 0 },
};

/* Under the list of options; argp frees it. */
static char *verbs_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("Verbs:\n", out);
	for (const struct pd_verb *verb = pd_verbs; verb->name; verb++)
		fprintf(out, "  %-8s %s\n", verb->name, verb->what);
	fputs("\n`pdload help VERB' says more of one. Exit codes: 0 done, 1 failed,\n"
	      "2 wrong command line, 3 not up, 4 not drained in time, 5 not supported\n"
	      "here, 6 policy refused.",
	      out);
	fclose(out);
	return text;
}

static char *help_filter(int key, const char *text, void *input)
{
	return key == ARGP_KEY_HELP_EXTRA ? verbs_text() : (char *)text;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_VERSION:
		exit(pd_version__main(1, (char *[]){ "pdload version", NULL }));
	case ARGP_KEY_ARG:
		/* The verb: what follows it is for its own parser. */
		if (!pd_help__find(arg))
			argp_error(state, "unknown verb '%s'", arg);
		*(int *)state->input = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "expected a verb, such as up, status or help");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.children = pd_args_json,
	.args_doc = "VERB [ARGUMENT...]",
	.doc = "Accelerate TCP connections between containers of this host.",
	.help_filter = help_filter,
};

int pd_help__parse(int argc, char **argv)
{
	int verb = 0;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &verb);
	return verb;
}

const struct pd_verb *pd_help__find(const char *name)
{
	for (const struct pd_verb *verb = pd_verbs; verb->name; verb++) {
		if (!strcmp(verb->name, name))
			return verb;
	}
	return NULL;
}

int pd_help__run(const struct pd_verb *verb, int argc, char **argv)
{
	/* argp and getopt begin their messages with argv[0]. */
	char name[32];

	snprintf(name, sizeof(name), "pdload %s", verb->name);
	argv[0] = name;
	return verb->run(argc, argv);
}

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	const struct pd_verb **verb = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (*verb)
		argp_error(state, "unexpected argument '%s'", arg);
	*verb = pd_help__find(arg);
	if (!*verb)
		argp_error(state, "unknown verb '%s'", arg);
	return 0;
}

int pd_help__main(int argc, char **argv)
{
	static const struct argp help_argp = {
		.parser = parse_help,
		.args_doc = "[VERB]",
		.doc = "Say what pdload or one of its verbs does.",
	};
	const struct pd_verb *verb = NULL;
	char *args[] = { "pdload", "--help", NULL };

	argp_parse(&help_argp, argc, argv, 0, NULL, &verb);
	if (verb)
		return pd_help__run(verb, 2, args);
	return argp_parse(&argp, 2, args, 0, NULL, NULL); /* --help ends the process */
}
