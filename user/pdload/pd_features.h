/* SPDX-License-Identifier: GPL-2.0-only */
/* What the sockmap engine needs of the kernel, and what of it is here.
 * (<features.h> is a header of the C library.)
 */
#ifndef PD_FEATURES_H
#define PD_FEATURES_H

#include "pdload.h"

enum pd_answer {
	PD_UNKNOWN = 0, /* could not be asked, mostly for want of privilege */
	PD_NO,
	PD_YES,
};

struct pd_feature {
	const char *group;
	const char *name;
	enum pd_answer answer;
	bool needed; /* by `pdload up` */
	char detail[96]; /* may be empty */
};

#define PD_MAX_FEATURES 64
#define PD_MAX_LACKS 64

struct pd_features {
	struct pd_feature list[PD_MAX_FEATURES]; /* grouped */
	size_t nr;
	char *lacks[PD_MAX_LACKS]; /* a sentence each, with what to do */
	size_t nr_lacks;
	bool privileged; /* has the capabilities to ask by loading programs */
	bool refused; /* has them, but was not let (lockdown, user namespace, ...) */
};

/* Ask the kernel; attaches nothing, pins nothing, leaves nothing. */
void pd_features__collect(struct pd_features *features);
void pd_features__free(struct pd_features *features);
/* "yes", "no" or "unknown" */
const char *pd_answer__text(enum pd_answer answer);

/* CapEff of this process. */
__u64 pd_features__capabilities(void);

/* ---- for the tests ---- */

/* Whether BPF helper @id exists for sock_ops (or else sk_msg) programs. */
enum pd_answer pd_features__helper(bool sock_ops, int id);

/* ---- config.c ---- */

/* Value of @option in the text of a kernel configuration: "y", "m", a number,
 * a string; "n" if it says "is not set" or nothing. Returns @value.
 */
char *pd_config__value(const char *text, const char *option, char value[128]);
/* The configuration of the running kernel, to free(), or NULL; *@file: where
 * it was read.
 */
char *pd_config__read(const char **file);

#endif /* PD_FEATURES_H */
