/* SPDX-License-Identifier: GPL-2.0-only */
/* What the command lines of several verbs have in common. */
#ifndef PD_ARGS_H
#define PD_ARGS_H

#include <argp.h>

#include "pdload.h"

/* Children of a verb's argp: --json; and, for a verb that takes no arguments,
 * an error that names the first one. Both end with an empty entry.
 */
extern const struct argp_child pd_args_json[];
extern const struct argp_child pd_args_none[];

/* Take --json out of the command line, wherever it stands before "--", and set
 * pd_json, so that also what fails before a verb parses its options knows.
 * Returns the new argc.
 */
int pd_args__take_json(int argc, char **argv);

/* A whole decimal number from @min to @max, or argp_error(), which ends the
 * process with PD_EXIT_USAGE.
 */
__u64 pd_args__number(const struct argp_state *state, const char *option, const char *text,
		      __u64 min, __u64 max);
/* The same of a size: "65536", "64K", "4M", "1G", in binary units. @takes says what is
 * allowed, for the error.
 */
__u64 pd_args__bytes(const struct argp_state *state, const char *option, const char *text,
		     __u64 min, __u64 max, const char *takes);

#endif /* PD_ARGS_H */
