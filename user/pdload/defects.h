/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a sockmap redirect differs from TCP: one self-test each, on a scratch
 * pair, first plain as the oracle and then enrolled.
 */
#ifndef PD_DEFECTS_H
#define PD_DEFECTS_H

#include "trial.h"

enum pd_defect_state {
	PD_DEFECT_UNTESTED = 0,
	PD_DEFECT_ABSENT,
	PD_DEFECT_PRESENT,
};

/* All self-tests together end within this time, whatever hangs. */
#define PD_DEFECTS_LIMIT_MS 20000

struct pd_defect {
	const char *name; /* one word */
	const char *what; /* what goes wrong */
	const char *suffers; /* which programs notice */
	bool avoided; /* pdload's own programs never let it happen */
	pd_trial_fn test; /* NULL: known, and not tried for the reason in detail */
	bool late; /* the test enrols the pair itself, after some TCP */
	bool hangs; /* known to: given less time */
	bool compares; /* by trial->figure: more is better */
	enum pd_defect_state state; /* filled by pd_defects__run() */
	char detail[256]; /* what was seen, or why it could not be tested */
};

extern struct pd_defect pd_defects[]; /* ends with an entry without name */

/* "present", "absent" or "could not test" */
const char *pd_defect__state(const struct pd_defect *defect);

/* Run them all. @why_not: the reason why no pair can be enrolled here at all,
 * or NULL. Shows progress.
 */
void pd_defects__run(const char *why_not);

#endif /* PD_DEFECTS_H */
