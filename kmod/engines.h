/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/pipedevice_engines: what `pdload engines` shows and sets. */
#ifndef PD_ENGINES_H
#define PD_ENGINES_H

int pd_engines_init(void);
/* Gives back all channels. No socket is attached. */
void pd_engines_exit(void);

#endif /* PD_ENGINES_H */
