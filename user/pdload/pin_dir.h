/* SPDX-License-Identifier: GPL-2.0-only */
/* The directory of pins, made and removed as a whole. The caller holds
 * pd_pins__lock().
 */
#ifndef PD_PIN_DIR_H
#define PD_PIN_DIR_H

#include "pdload.h"

struct bpf_object;

/* Make an empty directory aside and write its path to @dir; first remove what
 * earlier runs that crashed have left. Returns 0 or -errno after p_err(), also
 * if there is something at PD_PIN_DIR.
 */
int pd_pin_dir__prepare(char *dir, size_t size);

/* Pin all maps, programs and links of @object into it. 0 or -errno after
 * p_err().
 */
int pd_pin_dir__fill(const char *dir, struct bpf_object *object);

/* Let it take the place of PD_PIN_DIR, at once. 0 or -errno after p_err(). */
int pd_pin_dir__publish(const char *dir);

/* Take PD_PIN_DIR aside, at once, and remove it. 0 or -errno after p_err(). */
int pd_pin_dir__withdraw(void);

/* Unpin all that is in @dir and remove it. */
void pd_pin_dir__remove(const char *dir);

/* Remove what crashed runs have left aside; returns how many directories. */
int pd_pin_dir__clean(void);

#endif /* PD_PIN_DIR_H */
