/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/pipedevice_engines: what the module says of its DMA engine, and what it is told. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_file.h"

#define ENGINE_FILE "/proc/pipedevice_engines"

/* The line being read: its words are taken off @rest one by one. */
struct line {
	char *rest; /* NULL: no word is left */
	unsigned int number;
	bool wrong;
};

static const char *next_word(struct line *line)
{
	const char *word = strsep(&line->rest, " ");

	if (!word || !*word) {
		line->wrong = true;
		return "";
	}
	return word;
}

static void take_text(struct line *line, char *text, size_t size)
{
	const char *word = next_word(line);

	if (strlen(word) >= size)
		line->wrong = true;
	snprintf(text, size, "%s", word);
}

static void take_driver(struct line *line, char *text, size_t size)
{
	take_text(line, text, size);
	if (!strcmp(text, "-"))
		text[0] = '\0';
}

static void take_rest(struct line *line, char *text, size_t size)
{
	if (!line->rest || !*line->rest)
		line->wrong = true;
	snprintf(text, size, "%s", line->rest ? line->rest : "");
	line->rest = NULL;
}

static __u64 number_of(struct line *line, const char *word)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(word, &end, 10);
	/* strtoull() takes "-1" and " 1" as well. */
	if (!isdigit((unsigned char)*word) || *end || errno)
		line->wrong = true;
	return value;
}

static __u64 take_number(struct line *line)
{
	return number_of(line, next_word(line));
}

static __u64 take_threshold(struct line *line)
{
	const char *word = next_word(line);

	return strcmp(word, "never") ? number_of(line, word) : PD_ENGINE_NEVER;
}

static int take_node(struct line *line)
{
	const char *word = next_word(line);
	__u64 node;

	if (!strcmp(word, "-1"))
		return -1;
	node = number_of(line, word);
	if (node > INT_MAX)
		line->wrong = true;
	return node;
}

static bool take_switch(struct line *line)
{
	const char *word = next_word(line);

	if (strcmp(word, "on") && strcmp(word, "off"))
		line->wrong = true;
	return !strcmp(word, "on");
}

/* @items with room for one more after its @nr, which is zeroed; NULL, and @items as it
 * was, if there is no memory.
 */
static void *grow(void *items, size_t nr, size_t size)
{
	char *more = reallocarray(items, nr + 1, size);

	if (more)
		memset(more + nr * size, 0, size);
	return more;
}

static int parse_channel(struct line *line, struct pd_engines *engines)
{
	struct pd_engine_channel *channel =
		grow(engines->channels, engines->nr_channels, sizeof(*channel));

	if (!channel)
		return -ENOMEM;
	engines->channels = channel;
	channel += engines->nr_channels++;
	take_text(line, channel->name, sizeof(channel->name));
	take_driver(line, channel->driver, sizeof(channel->driver));
	channel->node = take_node(line);
	channel->depth = take_number(line);
	take_text(line, channel->state, sizeof(channel->state));
	channel->copies = take_number(line);
	channel->bytes = take_number(line);
	channel->errors = take_number(line);
	channel->timeouts = take_number(line);
	return 0;
}

static int parse_refused(struct line *line, struct pd_engines *engines)
{
	struct pd_engine_refused *refused =
		grow(engines->refused, engines->nr_refused, sizeof(*refused));

	if (!refused)
		return -ENOMEM;
	engines->refused = refused;
	refused += engines->nr_refused++;
	take_text(line, refused->name, sizeof(refused->name));
	take_driver(line, refused->driver, sizeof(refused->driver));
	take_rest(line, refused->reason, sizeof(refused->reason));
	return 0;
}

/* The one of that node, a new one if there is none yet; NULL if there is no memory. */
static struct pd_engine_threshold *threshold_of(struct pd_engines *engines, int node)
{
	struct pd_engine_threshold *threshold;

	for (size_t i = 0; i < engines->nr_thresholds; i++) {
		if (engines->thresholds[i].node == node)
			return &engines->thresholds[i];
	}
	threshold = grow(engines->thresholds, engines->nr_thresholds, sizeof(*threshold));
	if (!threshold)
		return NULL;
	engines->thresholds = threshold;
	threshold += engines->nr_thresholds++;
	threshold->node = node;
	return threshold;
}

/* Of a node's two, the one that was set by hand is in force, whichever comes first. */
static int parse_threshold(struct line *line, struct pd_engines *engines, bool by_hand)
{
	struct pd_engine_threshold *threshold = threshold_of(engines, take_node(line));
	__u64 bytes = take_threshold(line);

	if (!threshold)
		return -ENOMEM;
	if (threshold->has_bytes && threshold->by_hand == by_hand)
		line->wrong = true;
	if (threshold->by_hand)
		return 0;
	threshold->has_bytes = true;
	threshold->bytes = bytes;
	threshold->by_hand = by_hand;
	return 0;
}

static int parse_threshold_huge(struct line *line, struct pd_engines *engines)
{
	struct pd_engine_threshold *threshold = threshold_of(engines, take_node(line));

	if (!threshold)
		return -ENOMEM;
	if (threshold->has_huge)
		line->wrong = true;
	threshold->has_huge = true;
	threshold->huge_bytes = take_threshold(line);
	return 0;
}

/* A module without lines for huge pages has one threshold for all. */
static int complete_thresholds(struct pd_engines *engines, char why[PD_ENGINE_WHY])
{
	for (size_t i = 0; i < engines->nr_thresholds; i++) {
		struct pd_engine_threshold *threshold = &engines->thresholds[i];

		if (!threshold->has_bytes) {
			snprintf(why, PD_ENGINE_WHY,
				 "it has a line threshold_huge %d and no line threshold %d",
				 threshold->node, threshold->node);
			return -EPROTO;
		}
		if (!threshold->has_huge)
			threshold->huge_bytes = threshold->bytes;
	}
	return 0;
}

static int parse_measured(struct line *line, struct pd_engines *engines, bool huge)
{
	struct pd_engine_measured *measured =
		grow(engines->measured, engines->nr_measured, sizeof(*measured));

	if (!measured)
		return -ENOMEM;
	engines->measured = measured;
	measured += engines->nr_measured++;
	measured->node = take_node(line);
	measured->huge = huge;
	measured->size = take_number(line);
	measured->cpu_ns = take_number(line);
	measured->one_ns = take_number(line);
	measured->all_ns = take_number(line);
	return 0;
}

/* Those that must be there, each once. */
enum { SEEN_DMA = 1, SEEN_WANTED = 2, SEEN_TIMEOUT = 4, SEEN_ALL = 7 };

static void see(struct line *line, unsigned int *seen, unsigned int item)
{
	if (*seen & item)
		line->wrong = true;
	*seen |= item;
}

static int parse_line(struct line *line, struct pd_engines *engines, unsigned int *seen)
{
	const char *word = next_word(line);
	int err = 0;

	if (line->wrong)
		return 0;
	if (!strcmp(word, "dma")) {
		engines->on = take_switch(line);
		see(line, seen, SEEN_DMA);
	} else if (!strcmp(word, "channels_wanted")) {
		engines->wanted = take_number(line);
		see(line, seen, SEEN_WANTED);
	} else if (!strcmp(word, "timeout_ms")) {
		engines->timeout_ms = take_number(line);
		see(line, seen, SEEN_TIMEOUT);
	} else if (!strcmp(word, "channel")) {
		err = parse_channel(line, engines);
	} else if (!strcmp(word, "refused")) {
		err = parse_refused(line, engines);
	} else if (!strcmp(word, "threshold")) {
		err = parse_threshold(line, engines, false);
	} else if (!strcmp(word, "threshold_set")) {
		err = parse_threshold(line, engines, true);
	} else if (!strcmp(word, "threshold_huge")) {
		err = parse_threshold_huge(line, engines);
	} else if (!strcmp(word, "measured")) {
		err = parse_measured(line, engines, false);
	} else if (!strcmp(word, "measured_huge")) {
		err = parse_measured(line, engines, true);
	} else {
		return 0;
	}
	if (line->rest)
		line->wrong = true;
	return err;
}

int pd_engine_file__parse(FILE *file, struct pd_engines *engines, char why[PD_ENGINE_WHY])
{
	char *text = NULL, shown[64];
	unsigned int seen = 0;
	struct line line = { 0 };
	size_t room = 0;
	ssize_t len;
	int err = 0;

	memset(engines, 0, sizeof(*engines));
	errno = 0;
	while (!err && (len = getline(&text, &room, file)) > 0) {
		line.number++;
		snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(text, "\n"), text);
		/* Of a line that is cut off even the numbers may be. */
		if (text[len - 1] != '\n' || memchr(text, '\0', len))
			line.wrong = true;
		text[len - 1] = '\0';
		line.rest = text;
		if (!line.wrong)
			err = parse_line(&line, engines, &seen);
		if (line.wrong) {
			snprintf(why, PD_ENGINE_WHY, "line %u is not understood: '%s'", line.number,
				 shown);
			err = -EPROTO;
		}
		errno = 0;
	}
	if (!err && ferror(file)) {
		err = errno ? -errno : -EIO;
		snprintf(why, PD_ENGINE_WHY, "%s", strerror(-err));
	} else if (err == -ENOMEM) {
		snprintf(why, PD_ENGINE_WHY, "out of memory");
	} else if (!err && seen != SEEN_ALL) {
		snprintf(why, PD_ENGINE_WHY, "it has no line %s",
			 !(seen & SEEN_DMA)    ? "dma" :
			 !(seen & SEEN_WANTED) ? "channels_wanted" :
						 "timeout_ms");
		err = -EPROTO;
	} else if (!err) {
		err = complete_thresholds(engines, why);
	}
	free(text);
	if (err)
		pd_engine_file__free(engines);
	return err;
}

int pd_engine_file__read(struct pd_engines *engines, char why[PD_ENGINE_WHY])
{
	FILE *file = fopen(ENGINE_FILE, "re");
	char what[PD_ENGINE_WHY];
	int err;

	if (file) {
		err = pd_engine_file__parse(file, engines, what);
		fclose(file);
	} else {
		err = -errno;
		memset(engines, 0, sizeof(*engines));
		snprintf(what, sizeof(what), "%s", strerror(-err));
	}
	if (err)
		snprintf(why, PD_ENGINE_WHY, "can't read " ENGINE_FILE ": %.200s", what);
	return err;
}

void pd_engine_file__free(struct pd_engines *engines)
{
	free(engines->channels);
	free(engines->refused);
	free(engines->thresholds);
	free(engines->measured);
	memset(engines, 0, sizeof(*engines));
}

int pd_engine_file__command(const char *fmt, ...)
{
	char text[128];
	va_list args;
	int fd, len, err = 0;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text) - 1, fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(text) - 1)
		return -EINVAL;
	strcpy(text + len, "\n");
	fd = open(ENGINE_FILE, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One command is one write. */
	if (write(fd, text, len + 1) < 0)
		err = -errno;
	close(fd);
	return err;
}
