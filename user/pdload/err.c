/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors, warnings and progress: one sentence each. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "json.h"
#include "pdload.h"

bool pd_json;

/* The cursor stands below a progress line that the next one may replace. */
static bool progress_shown;

static void say(const char *prefix, const char *fmt, va_list args)
{
	char text[2048];

	/* One write, so that lines of several processes do not mix. */
	vsnprintf(text, sizeof(text), fmt, args);
	fflush(stdout);
	fprintf(stderr, "pdload: %s%s\n", prefix, text);
	progress_shown = false;
}

void p_err(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (pd_json) {
		char text[2048];
		cJSON *obj = cJSON_CreateObject();

		vsnprintf(text, sizeof(text), fmt, args);
		cJSON_AddStringToObject(obj, "error", text);
		pd_json__print_line(obj);
	} else {
		say("", fmt, args);
	}
	va_end(args);
}

void p_err_each(const char *what, const char *key, char *const *sentences, size_t nr)
{
	cJSON *obj, *array;
	size_t i;

	if (!pd_json) {
		for (i = 0; i < nr; i++)
			p_err("%s", sentences[i]);
		return;
	}
	obj = cJSON_CreateObject();
	cJSON_AddStringToObject(obj, "error", what);
	array = cJSON_AddArrayToObject(obj, key);
	for (i = 0; i < nr; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(sentences[i]));
	pd_json__print_line(obj);
}

void p_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("warning: ", fmt, args);
	va_end(args);
}

/* Each line ends with a newline even on a terminal and the next one goes back
 * up over it: whatever else is printed, now or after a crash, starts in column
 * one.
 */
void p_progress(const char *fmt, ...)
{
	static char shown[1024]; /* a log needs no line that says the same again */
	struct winsize size = { 0 };
	char text[1024];
	va_list args;

	if (pd_json)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	if (!isatty(STDERR_FILENO)) {
		if (!strcmp(text, shown))
			return;
		strcpy(shown, text);
		fprintf(stderr, "%s\n", text);
		return;
	}
	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col && strlen(text) > size.ws_col)
		text[size.ws_col] = '\0';
	fprintf(stderr, "%s%s\n", progress_shown ? "\033[A\r\033[K" : "", text);
	progress_shown = true;
}
