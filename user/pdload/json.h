/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON as pdload prints it: cJSON, and integers of 64 bits in full. */
#ifndef PD_JSON_H
#define PD_JSON_H

#include <cjson/cJSON.h>

#include "pdload.h"

/* cJSON holds numbers as double, which ends at 2^53: this writes the digits. */
void pd_json__u64(cJSON *obj, const char *name, __u64 value);
/* null if @value is NULL */
void pd_json__string(cJSON *obj, const char *name, const char *value);
/* Print to stdout, a document on lines of its own; frees @json. */
void pd_json__print(cJSON *json);
/* The same on one line, flushed; returns false if it could not be written. */
bool pd_json__print_line(cJSON *json);

#endif /* PD_JSON_H */
