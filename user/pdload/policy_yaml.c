/* SPDX-License-Identifier: GPL-2.0-only */
/* libyaml's events to a bounded tree. Events, because the document API
 * resolves aliases (and so cannot refuse them) and forgets where they stood.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "policy_yaml.h"

struct loader {
	yaml_parser_t parser;
	const char *file;
	struct pd_policy_error *err;
	size_t nr_nodes;
};

void pd_yaml__refuse(struct pd_policy_error *err, const char *file, size_t line, size_t column,
		     const char *fmt, ...)
{
	va_list args;
	int at;

	at = snprintf(err->text, sizeof(err->text), "%.1000s:%zu:%zu: ", file, line, column);
	if (at < 0 || (size_t)at >= sizeof(err->text))
		return;
	va_start(args, fmt);
	vsnprintf(err->text + at, sizeof(err->text) - at, fmt, args);
	va_end(args);
}

static void no_memory(struct loader *l)
{
	snprintf(l->err->text, sizeof(l->err->text), "%.1000s: out of memory", l->file);
}

/* Length of the UTF-8 character at @s, or 0 if it is not one that YAML allows. */
static size_t char_len(const unsigned char *s, size_t left)
{
	static const __u32 least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len, i;
	__u32 c;

	if (s[0] < 0x80)
		return s[0] == '\t' || s[0] == '\n' || s[0] == '\r' ||
		       (s[0] >= ' ' && s[0] != 0x7f);
	len = s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
	if (!len || len > left)
		return 0;
	c = s[0] & (0xff >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	/* C1 controls and the line breaks that YAML 1.1 has beside CR and LF:
	 * an editor would count lines differently.
	 */
	if (c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe || c == 0xffff)
		return 0;
	return len;
}

/* What libyaml would say without a position, or only after quadratic time. */
static bool check_bytes(struct loader *l, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t line = 1, column = 1, at, step;

	for (at = 0; at < len; at += step) {
		step = char_len(s + at, len - at);
		if (!step) {
			pd_yaml__refuse(l->err, l->file, line, column,
					"found byte 0x%02x; expected printable text in UTF-8",
					s[at]);
			return false;
		}
		if (column == 1 && s[at] == '%') {
			pd_yaml__refuse(l->err, l->file, line, column,
					"found a YAML directive; expected none in a policy");
			return false;
		}
		column++;
		if (s[at] == '\n' || (s[at] == '\r' && (at + 1 == len || s[at + 1] != '\n'))) {
			line++;
			column = 1;
		}
	}
	return true;
}

static void refuse(struct loader *l, yaml_mark_t mark, const char *what)
{
	pd_yaml__refuse(l->err, l->file, mark.line + 1, mark.column + 1, "%s", what);
}

static void refuse_syntax(struct loader *l)
{
	const yaml_parser_t *p = &l->parser;
	const char *context = p->context ? p->context : "while reading";

	if (p->error == YAML_MEMORY_ERROR) {
		no_memory(l);
	} else if (!strcmp(context, "while scanning an alias")) {
		refuse(l, p->context_mark,
		       "found '*' outside quotes; expected a pattern that begins with '*' to stand "
		       "in quotes");
	} else if (!strcmp(context, "while scanning for the next token")) {
		refuse(l, p->problem_mark,
		       "found a character that cannot begin a value (a tab?); expected spaces as "
		       "indentation, and quotes around values with special characters");
	} else {
		pd_yaml__refuse(
			l->err, l->file, p->problem_mark.line + 1, p->problem_mark.column + 1,
			"found broken YAML: %s, %s; expected \"key: value\" lines, those of "
			"one mapping equally indented",
			context, p->problem ? p->problem : "unknown problem");
	}
}

static bool next_event(struct loader *l, yaml_event_t *event)
{
	if (yaml_parser_parse(&l->parser, event))
		return true;
	refuse_syntax(l);
	return false;
}

/* What a policy has no use for and an attacker has. */
static bool check_event(struct loader *l, const yaml_event_t *event, int depth)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
	}

	if (event->type == YAML_ALIAS_EVENT)
		refuse(l, event->start_mark,
		       "found an alias; expected a value (a pattern that begins with '*' must stand "
		       "in quotes)");
	else if (anchor)
		refuse(l, event->start_mark, "found an anchor; expected a value without one");
	else if (tag)
		refuse(l, event->start_mark, "found a tag; expected a value without one");
	else if (depth > PD_YAML_DEPTH)
		refuse(l, event->start_mark, "found values nested too deeply; expected a policy");
	else if (++l->nr_nodes > PD_YAML_NODES)
		refuse(l, event->start_mark, "found too many values; expected a policy");
	else
		return true;
	return false;
}

static struct pd_yaml *load_node(struct loader *l, yaml_event_t *event, int depth);

/* Children up to the event @end; those of a map in pairs. */
static bool load_children(struct loader *l, struct pd_yaml *parent, yaml_event_type_t end,
			  int depth)
{
	struct pd_yaml **tail = &parent->first, *key = NULL, *node;
	yaml_event_t event;

	for (;;) {
		if (!next_event(l, &event))
			return false;
		if (event.type == end) {
			yaml_event_delete(&event);
			return true;
		}
		node = load_node(l, &event, depth);
		if (!node)
			return false;
		if (parent->kind == PD_YAML_MAP && key) {
			key->value = node;
			key = NULL;
			continue;
		}
		key = node;
		*tail = node;
		tail = &node->next;
	}
}

/* Takes over @event. */
static struct pd_yaml *load_node(struct loader *l, yaml_event_t *event, int depth)
{
	yaml_event_type_t end = YAML_NO_EVENT;
	struct pd_yaml *node = NULL;

	if (!check_event(l, event, depth))
		goto out;
	node = calloc(1, sizeof(*node));
	if (!node) {
		no_memory(l);
		goto out;
	}
	node->line = event->start_mark.line + 1;
	node->column = event->start_mark.column + 1;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		node->kind = PD_YAML_TEXT;
		node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		node->text = (char *)event->data.scalar.value;
		node->len = event->data.scalar.length;
		event->data.scalar.value = NULL;
		break;
	case YAML_SEQUENCE_START_EVENT:
		node->kind = PD_YAML_LIST;
		end = YAML_SEQUENCE_END_EVENT;
		break;
	default:
		node->kind = PD_YAML_MAP;
		end = YAML_MAPPING_END_EVENT;
		break;
	}
out:
	yaml_event_delete(event);
	if (node && end != YAML_NO_EVENT && !load_children(l, node, end, depth + 1)) {
		pd_yaml__free(node);
		return NULL;
	}
	return node;
}

static struct pd_yaml *load_document(struct loader *l)
{
	struct pd_yaml *root = NULL;
	yaml_event_t event;
	bool complete = false;

	/* The events of a stream: start, (document start, node, document end)*, end. */
	if (!next_event(l, &event))
		return NULL;
	yaml_event_delete(&event);
	if (!next_event(l, &event))
		return NULL;
	if (event.type != YAML_DOCUMENT_START_EVENT) {
		pd_yaml__refuse(l->err, l->file, 1, 1,
				"found an empty file; expected \"version: 1\"");
		yaml_event_delete(&event);
		return NULL;
	}
	yaml_event_delete(&event);
	if (!next_event(l, &event))
		return NULL;
	root = load_node(l, &event, 1);
	if (!root || !next_event(l, &event))
		goto out;
	yaml_event_delete(&event);
	if (!next_event(l, &event))
		goto out;
	complete = event.type == YAML_STREAM_END_EVENT;
	if (!complete)
		refuse(l, event.start_mark, "found a second document; expected one in a file");
	yaml_event_delete(&event);
out:
	if (complete)
		return root;
	pd_yaml__free(root);
	return NULL;
}

struct pd_yaml *pd_yaml__load(const char *file, const char *text, size_t len,
			      struct pd_policy_error *err)
{
	struct loader l = { .file = file, .err = err };
	struct pd_yaml *root = NULL;

	if (len > PD_YAML_BYTES) {
		pd_yaml__refuse(err, file, 1, 1, "found more than %u bytes; expected a policy",
				PD_YAML_BYTES);
		return NULL;
	}
	/* A byte order mark is no part of line 1. */
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		len -= 3;
	}
	if (!check_bytes(&l, text, len))
		return NULL;
	if (!yaml_parser_initialize(&l.parser)) {
		no_memory(&l);
		return NULL;
	}
	yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
	root = load_document(&l);
	yaml_parser_delete(&l.parser);
	return root;
}

void pd_yaml__free(struct pd_yaml *node)
{
	while (node) {
		struct pd_yaml *next = node->next;

		pd_yaml__free(node->value);
		pd_yaml__free(node->first);
		free(node->text);
		free(node);
		node = next;
	}
}
