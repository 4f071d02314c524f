/* SPDX-License-Identifier: GPL-2.0-only */
/* What is pinned under PD_PIN_DIR, and the lock that serialises its writers. */
#ifndef PD_PINS_H
#define PD_PINS_H

#include "pdload.h"

/* Take the lock that up, down, flush and policy apply hold. Waits up to
 * 10 s for another pdload, then says who holds it. Returns an fd to close
 * (or to leave to the end of the process), or -errno after p_err().
 */
int pd_pins__lock(void);

/* True if `pdload up` has completed: the directory exists. */
bool pd_pins__present(void);

/* True if it is there and enrols nothing: `pdload down` has begun and is not over, or was ended; or
 * `up` was ended at its last step, or, without the lock, is at it now.
 */
bool pd_pins__draining(void);

/* p_err() and PD_EXIT_NOT_UP if it has not, PD_EXIT_FAILED without CAP_BPF;
 * else PD_EXIT_OK.
 */
int pd_pins__require(void);

/* fd of maps/@name, progs/@name or links/@name, or -errno after p_err(). */
int pd_pins__map(const char *name);
int pd_pins__prog(const char *name);
int pd_pins__link(const char *name);

/* The control block, mapped shared: aligned fields are written with
 * __atomic_store_n(). NULL after p_err().
 */
struct pd_control *pd_pins__control(void);

/* All connections there are now, from the pinned iterator; *records is
 * malloc()ed and may be NULL if *nr is 0. Returns 0 or -errno after p_err().
 */
int pd_pins__conns(struct pd_conn_record **records, size_t *nr);

#endif /* PD_PINS_H */
