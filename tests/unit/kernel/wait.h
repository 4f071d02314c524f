/* SPDX-License-Identifier: GPL-2.0-only */
/* What a test says to those who wait. */

/* Call @callback once, instead of the next wait for a variable or for time: there is no
 * other thread that could bring what is waited for.
 */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

void kernel_instead_of_wait(void (*callback)(void *arg), void *arg);

#endif /* KERNEL_WAIT_H */
