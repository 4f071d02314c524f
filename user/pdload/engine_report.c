/* SPDX-License-Identifier: GPL-2.0-only */
/* The DMA engine as pdload shows it: channels, thresholds, what was measured. */
#include <inttypes.h>
#include <string.h>

#include "engine_report.h"
#include "format.h"

/* Three digits that say something, or all before the point. */
static int decimals(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

char *pd_engine_report__ns(char text[PD_NS_TEXT], __u64 ns)
{
	static const char *const units[] = { "us", "ms", "s" };
	double value = ns;
	size_t i = 0;

	if (!ns)
		text[0] = '\0';
	else if (ns < 1000)
		snprintf(text, PD_NS_TEXT, "%u ns", (unsigned int)ns);
	if (ns < 1000)
		return text;
	/* What would be rounded to 1000 of a unit is 1 of the next. */
	for (value /= 1000; value >= 999.5 && i < 2; i++)
		value /= 1000;
	snprintf(text, PD_NS_TEXT, "%.*f %s", decimals(value), value, units[i]);
	return text;
}

char *pd_engine_report__rate(char text[PD_RATE_TEXT], __u64 bytes, __u64 ns)
{
	double rate = ns ? (double)bytes / ns : 0;

	text[0] = '\0';
	if (ns)
		snprintf(text, PD_RATE_TEXT, "%.*f", rate < 0.0995 ? 3 : decimals(rate), rate);
	return text;
}

size_t pd_engine_report__active(const struct pd_engines *engines)
{
	size_t active = 0;

	for (size_t i = 0; i < engines->nr_channels; i++)
		active += !strcmp(engines->channels[i].state, "active");
	return active;
}

/* Who is faster at one size, one channel or all of them on the side of DMA; "" if that was
 * not measured.
 */
static const char *faster(const struct pd_engine_measured *m)
{
	__u64 dma = m->one_ns;

	if (m->all_ns && (!dma || m->all_ns < dma))
		dma = m->all_ns;
	if (!dma || !m->cpu_ns)
		return "";
	return dma < m->cpu_ns ? "dma" : "cpu";
}

/* Who copies that size in such pages, as the threshold of the node says. */
static const char *copied_by(const struct pd_engines *engines, const struct pd_engine_measured *m)
{
	__u64 bytes;

	for (size_t i = 0; i < engines->nr_thresholds; i++) {
		const struct pd_engine_threshold *t = &engines->thresholds[i];

		if (t->node != m->node)
			continue;
		bytes = m->huge ? t->huge_bytes : t->bytes;
		return bytes != PD_ENGINE_NEVER && m->size >= bytes ? "dma" : "cpu";
	}
	return "cpu";
}

static const char *origin(const struct pd_engine_threshold *t)
{
	return t->by_hand ? "hand" : "measured";
}

static const char *pages_of(const struct pd_engine_measured *m)
{
	return m->huge ? "huge" : "ordinary";
}

/* ---- text ---- */

static void print_table(struct pd_table *table, FILE *out)
{
	fputc('\n', out);
	pd_table__print(table, out, 0);
	pd_table__free(table);
}

static void print_channels(const struct pd_engines *engines, FILE *out)
{
	struct pd_table *table = pd_table__new("DMA CHANNEL|DRIVER|>NODE|>DEPTH|STATE|>COPIES"
					       "|>BYTES|>ERRORS|>TIMEOUTS");

	for (size_t i = 0; i < engines->nr_channels; i++) {
		const struct pd_engine_channel *c = &engines->channels[i];
		char bytes[PD_BYTES_TEXT];

		pd_table__cell(table, "%s", c->name);
		pd_table__cell(table, "%s", c->driver);
		pd_table__cell(table, "%d", c->node);
		/* 0: as many as were given to it. */
		if (c->depth)
			pd_table__cell(table, "%" PRIu64, (uint64_t)c->depth);
		else
			pd_table__cell(table, "-");
		pd_table__cell(table, "%s", c->state);
		pd_table__cell(table, "%" PRIu64, (uint64_t)c->copies);
		pd_table__cell(table, "%s", pd_format__bytes(bytes, c->bytes));
		pd_table__cell(table, "%" PRIu64, (uint64_t)c->errors);
		pd_table__cell(table, "%" PRIu64, (uint64_t)c->timeouts);
	}
	print_table(table, out);
}

static void print_refused(const struct pd_engines *engines, FILE *out)
{
	struct pd_table *table = pd_table__new("NOT USED|DRIVER|WHY");

	for (size_t i = 0; i < engines->nr_refused; i++) {
		pd_table__cell(table, "%s", engines->refused[i].name);
		pd_table__cell(table, "%s", engines->refused[i].driver);
		pd_table__cell(table, "%s", engines->refused[i].reason);
	}
	print_table(table, out);
}

static void print_from(struct pd_table *table, __u64 from)
{
	char bytes[PD_BYTES_TEXT];

	pd_table__cell(table, "%s",
		       from == PD_ENGINE_NEVER ? "never" : pd_format__bytes(bytes, from));
}

static void print_thresholds(const struct pd_engines *engines, FILE *out)
{
	struct pd_table *table = pd_table__new(">NODE|>DMA FROM|>IN HUGE PAGES|WHICH WAS");

	for (size_t i = 0; i < engines->nr_thresholds; i++) {
		const struct pd_engine_threshold *t = &engines->thresholds[i];

		pd_table__cell(table, "%d", t->node);
		print_from(table, t->bytes);
		print_from(table, t->huge_bytes);
		pd_table__cell(table, "%s", t->by_hand ? "set by hand" : "measured");
	}
	print_table(table, out);
}

static void print_time(struct pd_table *table, __u64 size, __u64 ns)
{
	char time[PD_NS_TEXT], rate[PD_RATE_TEXT];

	pd_table__cell(table, "%s", pd_engine_report__ns(time, ns));
	pd_table__cell(table, "%s", pd_engine_report__rate(rate, size, ns));
}

static void print_measured(const struct pd_engines *engines, FILE *out)
{
	struct pd_table *table = pd_table__new(">NODE|PAGES|>COPY OF|>CPU|>GB/s|>ONE CHANNEL|>GB/s"
					       "|>ALL CHANNELS|>GB/s|FASTER|COPIED BY");

	for (size_t i = 0; i < engines->nr_measured; i++) {
		const struct pd_engine_measured *m = &engines->measured[i];
		char size[PD_BYTES_TEXT];

		pd_table__cell(table, "%d", m->node);
		pd_table__cell(table, "%s", pages_of(m));
		pd_table__cell(table, "%s", pd_format__bytes(size, m->size));
		print_time(table, m->size, m->cpu_ns);
		print_time(table, m->size, m->one_ns);
		print_time(table, m->size, m->all_ns);
		pd_table__cell(table, "%s", faster(m));
		pd_table__cell(table, "%s", copied_by(engines, m));
	}
	print_table(table, out);
}

void pd_engine_report__text(const struct pd_engines *engines, FILE *out)
{
	fprintf(out, "DMA is %s: %zu of %zu channels active", engines->on ? "on" : "off",
		pd_engine_report__active(engines), engines->nr_channels);
	if (engines->wanted)
		fprintf(out, " (%" PRIu64 " wanted)", (uint64_t)engines->wanted);
	fprintf(out, "; what a channel has not copied after %" PRIu64 " ms the CPU copies\n",
		(uint64_t)engines->timeout_ms);
	if (engines->nr_channels)
		print_channels(engines, out);
	if (engines->nr_refused)
		print_refused(engines, out);
	if (engines->nr_thresholds)
		print_thresholds(engines, out);
	if (engines->nr_measured)
		print_measured(engines, out);
	else
		fprintf(out, "\nNothing has been measured: `pdload engines --calibrate` does\n");
}

/* ---- JSON ---- */

static cJSON *add_item(cJSON *array)
{
	cJSON *item = cJSON_CreateObject();

	cJSON_AddItemToArray(array, item);
	return item;
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

static void add_ns(cJSON *item, const char *name, __u64 ns)
{
	if (ns)
		pd_json__u64(item, name, ns);
	else
		cJSON_AddNullToObject(item, name);
}

static void add_from(cJSON *item, const char *name, __u64 from)
{
	if (from == PD_ENGINE_NEVER)
		cJSON_AddNullToObject(item, name);
	else
		pd_json__u64(item, name, from);
}

static void channels_to_json(const struct pd_engines *engines, cJSON *doc)
{
	cJSON *list = cJSON_AddArrayToObject(doc, "channels");

	for (size_t i = 0; i < engines->nr_channels; i++) {
		const struct pd_engine_channel *c = &engines->channels[i];
		cJSON *item = add_item(list);

		cJSON_AddStringToObject(item, "name", c->name);
		pd_json__string(item, "driver", or_null(c->driver));
		cJSON_AddNumberToObject(item, "node", c->node);
		pd_json__u64(item, "depth", c->depth);
		cJSON_AddStringToObject(item, "state", c->state);
		pd_json__u64(item, "copies", c->copies);
		pd_json__u64(item, "bytes", c->bytes);
		pd_json__u64(item, "errors", c->errors);
		pd_json__u64(item, "timeouts", c->timeouts);
	}
	list = cJSON_AddArrayToObject(doc, "refused");
	for (size_t i = 0; i < engines->nr_refused; i++) {
		cJSON *item = add_item(list);

		cJSON_AddStringToObject(item, "name", engines->refused[i].name);
		pd_json__string(item, "driver", or_null(engines->refused[i].driver));
		cJSON_AddStringToObject(item, "reason", engines->refused[i].reason);
	}
}

cJSON *pd_engine_report__json(const struct pd_engines *engines)
{
	cJSON *doc = cJSON_CreateObject(), *list;

	cJSON_AddBoolToObject(doc, "dma", engines->on);
	pd_json__u64(doc, "channels_wanted", engines->wanted);
	pd_json__u64(doc, "timeout_ms", engines->timeout_ms);
	channels_to_json(engines, doc);
	list = cJSON_AddArrayToObject(doc, "thresholds");
	for (size_t i = 0; i < engines->nr_thresholds; i++) {
		const struct pd_engine_threshold *t = &engines->thresholds[i];
		cJSON *item = add_item(list);

		cJSON_AddNumberToObject(item, "node", t->node);
		add_from(item, "bytes", t->bytes);
		add_from(item, "huge_bytes", t->huge_bytes);
		cJSON_AddStringToObject(item, "by", origin(t));
	}
	list = cJSON_AddArrayToObject(doc, "measured");
	for (size_t i = 0; i < engines->nr_measured; i++) {
		const struct pd_engine_measured *m = &engines->measured[i];
		cJSON *item = add_item(list);

		cJSON_AddNumberToObject(item, "node", m->node);
		cJSON_AddStringToObject(item, "pages", pages_of(m));
		pd_json__u64(item, "bytes", m->size);
		add_ns(item, "cpu_ns", m->cpu_ns);
		add_ns(item, "one_ns", m->one_ns);
		add_ns(item, "all_ns", m->all_ns);
		pd_json__string(item, "faster", or_null(faster(m)));
		cJSON_AddStringToObject(item, "copied_by", copied_by(engines, m));
	}
	return doc;
}
