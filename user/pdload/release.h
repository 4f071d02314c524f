/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting live connections back on plain TCP without losing a byte. */
#ifndef PD_RELEASE_H
#define PD_RELEASE_H

#include "args.h"
#include "pins.h"

#define PD_RELEASE_DRAIN 30 /* seconds, if --drain is not given */

/* --drain SECONDS; the input of the parser is an int. */
extern const struct argp_option pd_release_options[];
error_t pd_release__parse(int key, char *arg, struct argp_state *state);

/* End the epoch and wait, @seconds at most, until no connection enrolled under
 * it is in pd_socks any more. With @stop no new one is enrolled from now on.
 * Returns 0 when all are out, 1 when some are left, which are named on
 * stderr and keep working, or -errno after p_err(). *released counts
 * connections that were taken out, *left those that were not.
 */
int pd_release__run(bool stop, int seconds, size_t *released, size_t *left);

#endif /* PD_RELEASE_H */
