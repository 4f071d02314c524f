/* SPDX-License-Identifier: GPL-2.0-only */
/* What the verbs of pdload share. One file per verb; main.c is their table. */
#ifndef PDLOAD_H
#define PDLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pd_maps.h"

/* Exit codes, documented in pdload(8). */
enum pd_exit {
	PD_EXIT_OK = 0,
	PD_EXIT_FAILED = 1, /* tried and failed; nothing was left half done */
	PD_EXIT_USAGE = 2, /* wrong command line */
	PD_EXIT_NOT_UP = 3, /* the verb needs `pdload up` first */
	PD_EXIT_UNFINISHED = 4, /* down or flush: named sockets are not drained yet */
	PD_EXIT_UNSUPPORTED = 5, /* this kernel or host lacks what the verb needs */
	PD_EXIT_POLICY = 6, /* the policy file is refused */
};

/* --json was given: every verb prints one JSON document (watch: one per line). */
extern bool pd_json;

/* A verb: argv[0] is its name. Returns an enum pd_exit. */
typedef int (*pd_verb_fn)(int argc, char **argv);

int pd_up__main(int argc, char **argv);
int pd_down__main(int argc, char **argv);
int pd_status__main(int argc, char **argv);
int pd_conns__main(int argc, char **argv);
int pd_policy__main(int argc, char **argv);
int pd_watch__main(int argc, char **argv);
int pd_flush__main(int argc, char **argv);
int pd_engines__main(int argc, char **argv);
int pd_probe__main(int argc, char **argv);
int pd_version__main(int argc, char **argv);

/* ---- err.c ---- */

/* One sentence on stderr: what failed, on what, why, what to do. With --json
 * it is {"error": "..."} on stdout. Never ends the process.
 */
void p_err(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same for all that is wrong with one thing, @nr sentences: each on stderr,
 * or {"error": @what, "@key": [...]}.
 */
void p_err_each(const char *what, const char *key, char *const *sentences, size_t nr);
/* The same for what does not fail; kept apart from results (stderr). */
void p_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Progress of a long-running verb: rewrites one line on a terminal, a line
 * each otherwise, nothing with --json.
 */
void p_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* PDLOAD_H */
