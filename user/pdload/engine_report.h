/* SPDX-License-Identifier: GPL-2.0-only */
/* The DMA engine as pdload shows it: channels, thresholds, what was measured. */
#ifndef PD_ENGINE_REPORT_H
#define PD_ENGINE_REPORT_H

#include "engine_file.h"
#include "json.h"

#define PD_NS_TEXT 24
#define PD_RATE_TEXT 24

void pd_engine_report__text(const struct pd_engines *engines, FILE *out);
/* The same as an object that the caller prints. */
cJSON *pd_engine_report__json(const struct pd_engines *engines);

/* Channels that copy now. */
size_t pd_engine_report__active(const struct pd_engines *engines);

/* ---- for the tests ---- */

/* "850 ns", "12.3 us", "1.05 ms", "2.00 s"; "" for 0, which is not measured. Returns @text. */
char *pd_engine_report__ns(char text[PD_NS_TEXT], __u64 ns);
/* GB (10^9 bytes) a second: "6.16", "0.052"; "" if @ns is 0. Returns @text. */
char *pd_engine_report__rate(char text[PD_RATE_TEXT], __u64 bytes, __u64 ns);

#endif /* PD_ENGINE_REPORT_H */
