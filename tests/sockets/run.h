/* SPDX-License-Identifier: GPL-2.0-only */
/* Running one case, and judging it: order of life. */
#ifndef RUN_H
#define RUN_H

#include "sockets.h"

enum verdict { PASSED, FAILED, SKIPPED };

struct outcome {
	enum verdict verdict;
	char text[16384]; /* what went wrong, or why it was skipped */
};

/* Run @test in a process of its own; it and all that it started is killed after
 * @limit_ms.
 */
void run_case(const struct test *test, unsigned int limit_ms, struct outcome *outcome);

/* A difference from TCP that an engine is known to have. */
struct defect {
	const char *name; /* of the case that fails */
	const char *reason;
	bool sometimes; /* it may pass: the reason says why */
};

/* What fails with @engine, up to an entry without a name. */
const struct defect *defects_of(const char *engine);
const struct defect *defect_of(const char *engine, const char *name);

/* Why this case is not run with @engine, as it does harm to the kernel, or NULL. */
const char *harm_of(const char *engine, const char *name);

/* Why no engine takes the connections of this case, or NULL. */
const char *never_accelerated(const char *name);

/* Between the two calls connections were accelerated, and bytes redirected if
 * any were sent, with @at_once: NULL. Otherwise what was missed. The next case begins there.
 */
void counters_begin(const char *pdload);
const char *counters_refuse(const char *pdload, bool at_once);

#endif /* RUN_H */
