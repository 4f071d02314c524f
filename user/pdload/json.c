/* SPDX-License-Identifier: GPL-2.0-only */
/* JSON as pdload prints it. */
#include <inttypes.h>
#include <stdlib.h>

#include "json.h"

void pd_json__u64(cJSON *obj, const char *name, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)value);
	cJSON_AddRawToObject(obj, name, text);
}

void pd_json__string(cJSON *obj, const char *name, const char *value)
{
	if (value)
		cJSON_AddStringToObject(obj, name, value);
	else
		cJSON_AddNullToObject(obj, name);
}

void pd_json__print(cJSON *json)
{
	char *text = cJSON_Print(json);

	if (text)
		puts(text);
	else
		fputs("pdload: out of memory\n", stderr);
	free(text);
	cJSON_Delete(json);
}

bool pd_json__print_line(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);

	if (text)
		puts(text);
	free(text);
	cJSON_Delete(json);
	return text && !fflush(stdout);
}
