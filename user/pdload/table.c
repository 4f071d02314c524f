/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables of text with aligned columns. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

struct pd_table {
	char **cells; /* row by row, the headings first; owned */
	size_t nr;
	size_t room;
	size_t columns;
	bool *right; /* by column */
};

/* A cell less would shift all that follow: better no table than a wrong one. */
static void *must(void *memory)
{
	if (!memory) {
		p_err("can't print a table: out of memory");
		exit(PD_EXIT_FAILED);
	}
	return memory;
}

/* Columns of a terminal that @text takes: UTF-8 continuation bytes take none. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void add(struct pd_table *table, char *text)
{
	if (table->nr == table->room) {
		table->room = table->room ? table->room * 2 : 64;
		table->cells = must(realloc(table->cells, table->room * sizeof(char *)));
	}
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	table->cells[table->nr++] = text;
}

struct pd_table *pd_table__new(const char *columns)
{
	struct pd_table *table = must(calloc(1, sizeof(*table)));
	size_t i = 0;

	table->columns = 1;
	for (const char *c = columns; *c; c++)
		table->columns += *c == '|';
	table->right = must(calloc(table->columns, sizeof(*table->right)));
	for (const char *c = columns;; c++) {
		size_t len = strcspn(c, "|");

		table->right[i] = *c == '>';
		add(table, must(strndup(c + table->right[i], len - table->right[i])));
		i++;
		c += len;
		if (!*c)
			break;
	}
	return table;
}

void pd_table__cell(struct pd_table *table, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text && !*text) {
		free(text);
		text = strdup("-");
	}
	add(table, must(text));
}

void pd_table__print(const struct pd_table *table, FILE *out, int indent)
{
	size_t *widths = must(calloc(table->columns, sizeof(*widths)));

	for (size_t i = 0; i < table->nr; i++) {
		size_t width = width_of(table->cells[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
	for (size_t i = 0; i < table->nr; i++) {
		size_t column = i % table->columns;
		bool last = column == table->columns - 1 || i == table->nr - 1;
		int pad = widths[column] - width_of(table->cells[i]);

		fprintf(out, "%*s%*s%s%*s%s", column ? 0 : indent, "",
			table->right[column] ? pad : 0, "", table->cells[i],
			table->right[column] || last ? 0 : pad, "", last ? "\n" : "  ");
	}
	free(widths);
}

void pd_table__free(struct pd_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->nr; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->right);
	free(table);
}
