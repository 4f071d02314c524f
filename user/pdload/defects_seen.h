/* SPDX-License-Identifier: GPL-2.0-only */
/* The defects of this kernel as `pdload up` tells of them: tried once a boot. */
#ifndef PD_DEFECTS_SEEN_H
#define PD_DEFECTS_SEEN_H

#include "defects.h"

/* Fill pd_defects[].state from what an earlier run saw on this boot, or try
 * them now, some seconds, and keep what was seen. Never fails: what could not
 * be tried stays PD_DEFECT_UNTESTED.
 */
void pd_defects_seen__load(void);

/* True if programs meet @defect here: it is present, and not avoided. */
bool pd_defects_seen__matters(const struct pd_defect *defect);

#endif /* PD_DEFECTS_SEEN_H */
