/* SPDX-License-Identifier: GPL-2.0-only */
/* Switching the module's DMA engine on and off, for `pdload up`. */
#ifndef PD_DMA_H
#define PD_DMA_H

#include "engine_file.h"

/* Have DMA on, and measured. Returns 0, or -errno and in @why a sentence without its stop;
 * DMA is then as it was. -ENODEV: there is no channel that can be used; -ENOENT: the module
 * has no DMA engine. *@switched says whether it was off before.
 */
int pd_dma__start(bool *switched, char why[PD_ENGINE_WHY]);
/* Have DMA off. 0, also if there is none; -errno. */
int pd_dma__stop(void);

#endif /* PD_DMA_H */
