/* SPDX-License-Identifier: GPL-2.0-only */
/* Standard output that may be closed, full, or a pipe without a reader. */
#ifndef PD_OUTPUT_H
#define PD_OUTPUT_H

#include "pdload.h"

/* First thing in main(). From now on a reader that goes away (`pdload conns |
 * head`) ends nothing in the middle, and output that could not be written for
 * another reason turns the exit code into PD_EXIT_FAILED.
 */
void pd_output__open(void);

/* True if what reads standard output has gone. */
bool pd_output__is_broken_pipe(void);

#endif /* PD_OUTPUT_H */
