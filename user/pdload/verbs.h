/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of verbs and the help made from it. */
#ifndef PD_VERBS_H
#define PD_VERBS_H

#include "pdload.h"

struct pd_verb {
	const char *name;
	pd_verb_fn run;
	const char *what; /* for help: one line */
};

extern const struct pd_verb pd_verbs[]; /* ends with an entry without name */

/* Parse what stands before the verb. Returns the index of the verb in @argv;
 * wrong options, --help and --version end the process.
 */
int pd_help__parse(int argc, char **argv);
/* NULL if there is no such verb */
const struct pd_verb *pd_help__find(const char *name);
/* Run @verb as if the user had typed "pdload VERB" and argv[1...]. */
int pd_help__run(const struct pd_verb *verb, int argc, char **argv);
int pd_help__main(int argc, char **argv);

#endif /* PD_VERBS_H */
