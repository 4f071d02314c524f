/* SPDX-License-Identifier: GPL-2.0-only */
#include "stats.h"

DEFINE_PER_CPU(s64[PD_STAT_MAX], pd_stats);
