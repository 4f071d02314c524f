/* SPDX-License-Identifier: GPL-2.0-only */
/* pdload probe: what this kernel and host can do, and where its sockmap
 * redirect differs from TCP.
 */
#include <ctype.h>
#include <string.h>

#include "args.h"
#include "defects.h"
#include "pd_features.h"
#include "format.h"
#include "host.h"
#include "json.h"

/* What was found; too large for a stack. */
static struct pd_features features;
static struct pd_host host;

/* Why `pdload up` would find no engine here, or NULL. */
static const char *why_no_engine(void)
{
	return features.nr_lacks ? features.lacks[0] : NULL;
}

/* ---- text ---- */

static void print_table(struct pd_table *table)
{
	if (!table)
		return;
	putchar('\n');
	pd_table__print(table, stdout, 0);
	pd_table__free(table);
}

static void print_features(void)
{
	struct pd_table *table = NULL;

	for (size_t i = 0; i < features.nr; i++) {
		const struct pd_feature *f = &features.list[i];

		if (!i || strcmp(f->group, features.list[i - 1].group)) {
			char columns[64];

			print_table(table);
			snprintf(columns, sizeof(columns), "%s|HERE|NOTE", f->group);
			for (char *c = columns; *c; c++)
				*c = toupper((unsigned char)*c);
			table = pd_table__new(columns);
		}
		pd_table__cell(table, "%s", f->name);
		pd_table__cell(table, "%s", pd_answer__text(f->answer));
		pd_table__cell(table, "%s", f->detail);
	}
	print_table(table);
}

static void print_host(void)
{
	struct pd_table *table = pd_table__new("HOST|FOUND");

	pd_table__cell(table, "security modules");
	pd_table__cell(table, "%s", *host.lsms ? host.lsms : host.lsms_note);
	pd_table__cell(table, "lockdown");
	pd_table__cell(table, "%s", *host.lockdown ? host.lockdown : "unknown");
	pd_table__cell(table, "loading of modules");
	pd_table__cell(table, "%s%s%s", host.modules == PD_YES ? "possible" : "not possible",
		       *host.modules_why ? ": " : "", host.modules_why);
	pd_table__cell(table, "kernel TLS");
	pd_table__cell(table, "%s", host.ktls ? "available" : "not available now");
	pd_table__cell(table, "MPTCP");
	pd_table__cell(table, "%s", host.mptcp ? "enabled" : "not enabled");
	pd_table__cell(table, "DMA channels");
	pd_table__cell(table, "%zu", host.nr_channels);
	for (size_t i = 0; i < host.nr_pages; i++) {
		const struct pd_pages *p = &host.pages[i];
		char size[PD_BYTES_TEXT];

		pd_table__cell(table, "huge pages of %s",
			       pd_format__bytes(size, (__u64)p->size_kb << 10));
		pd_table__cell(table, "%lu free of %lu", p->free, p->total);
	}
	pd_table__cell(table, "transparent huge pages");
	pd_table__cell(table, "%s", *host.transparent ? host.transparent : "unknown");
	pd_table__cell(table, "CPUs online");
	pd_table__cell(table, "%ld", host.cpus);
	for (size_t i = 0; i < host.nr_nodes; i++) {
		const struct pd_node *n = &host.nodes[i];
		char size[PD_BYTES_TEXT], left[PD_BYTES_TEXT];

		pd_table__cell(table, "NUMA node %d", n->node);
		pd_table__cell(table, "CPUs %s, memory %s, %s free", n->cpus,
			       pd_format__bytes(size, n->memory), pd_format__bytes(left, n->free));
	}
	print_table(table);
}

static void print_channels(void)
{
	struct pd_table *table;

	if (!host.nr_channels)
		return;
	table = pd_table__new("DMA CHANNEL|DRIVER|>CLIENTS|>NODE");
	for (size_t i = 0; i < host.nr_channels; i++) {
		const struct pd_channel *c = &host.channels[i];

		pd_table__cell(table, "%s", c->name);
		pd_table__cell(table, "%s", c->driver);
		pd_table__cell(table, "%u", c->clients);
		pd_table__cell(table, "%d", c->node);
	}
	print_table(table);
}

static void print_defects(void)
{
	struct pd_table *table = pd_table__new("DEFECT OF SOCKMAP|HERE|WITH PDLOAD|WHAT");

	for (const struct pd_defect *d = pd_defects; d->name; d++) {
		pd_table__cell(table, "%s", d->name);
		pd_table__cell(table, "%s", pd_defect__state(d));
		if (d->state == PD_DEFECT_PRESENT)
			pd_table__cell(table, "%s", d->avoided ? "avoided" : "inherited");
		else
			pd_table__cell(table, "-");
		if (!d->test)
			pd_table__cell(table, "%s (%s); %s", d->what, d->suffers, d->detail);
		else if (d->state == PD_DEFECT_UNTESTED)
			pd_table__cell(table, "%s", d->detail);
		else
			pd_table__cell(table, "%s (%s)", d->what, d->suffers);
	}
	print_table(table);
}

static void print_text(void)
{
	printf("pdload %s on Linux %s %s\n", PD_VERSION, host.release, host.machine);
	print_features();
	print_host();
	print_channels();
	print_defects();
	putchar('\n');
	for (size_t i = 0; i < features.nr_lacks; i++)
		printf("lacking: %s\n", features.lacks[i]);
	if (why_no_engine())
		printf("engine: none, %s lacking for sockmap\n",
		       features.nr_lacks == 1 ? "what is named above is" : "all of the above are");
	else
		printf("engine: sockmap\n");
}

/* ---- JSON ---- */

static void add_answer(cJSON *obj, const char *name, enum pd_answer answer)
{
	if (answer == PD_UNKNOWN)
		cJSON_AddNullToObject(obj, name);
	else
		cJSON_AddBoolToObject(obj, name, answer == PD_YES);
}

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

static void features_to_json(cJSON *doc)
{
	cJSON *list = cJSON_AddArrayToObject(doc, "features");
	cJSON *lacks = cJSON_AddArrayToObject(doc, "lacks");

	for (size_t i = 0; i < features.nr; i++) {
		const struct pd_feature *f = &features.list[i];
		cJSON *item = add_item(list);

		cJSON_AddStringToObject(item, "group", f->group);
		cJSON_AddStringToObject(item, "name", f->name);
		add_answer(item, "present", f->answer);
		cJSON_AddBoolToObject(item, "needed", f->needed);
		pd_json__string(item, "note", or_null(f->detail));
	}
	for (size_t i = 0; i < features.nr_lacks; i++)
		cJSON_AddItemToArray(lacks, cJSON_CreateString(features.lacks[i]));
}

static void security_to_json(cJSON *doc)
{
	cJSON *security = cJSON_AddObjectToObject(doc, "security");
	cJSON *modules = cJSON_AddObjectToObject(doc, "modules");
	char names[sizeof(host.lsms)];

	if (*host.lsms) {
		cJSON *lsms = cJSON_AddArrayToObject(security, "lsms");
		char *rest = names, *name;

		strcpy(names, host.lsms);
		while ((name = strsep(&rest, ",")))
			cJSON_AddItemToArray(lsms, cJSON_CreateString(name));
	} else {
		cJSON_AddNullToObject(security, "lsms");
	}
	pd_json__string(security, "lockdown", or_null(host.lockdown));
	pd_json__string(security, "note", or_null(host.lsms_note));

	add_answer(modules, "loadable", host.modules);
	pd_json__string(modules, "note", or_null(host.modules_why));
}

static void host_to_json(cJSON *doc)
{
	cJSON *channels = cJSON_AddArrayToObject(doc, "dma_channels");
	cJSON *hugepages = cJSON_AddObjectToObject(doc, "hugepages");
	cJSON *sizes = cJSON_AddArrayToObject(hugepages, "sizes");
	cJSON *numa = cJSON_AddObjectToObject(doc, "numa");
	cJSON *nodes = cJSON_AddArrayToObject(numa, "nodes");

	for (size_t i = 0; i < host.nr_channels; i++) {
		cJSON *item = add_item(channels);

		cJSON_AddStringToObject(item, "name", host.channels[i].name);
		pd_json__string(item, "driver", or_null(host.channels[i].driver));
		cJSON_AddNumberToObject(item, "clients", host.channels[i].clients);
		cJSON_AddNumberToObject(item, "node", host.channels[i].node);
	}
	for (size_t i = 0; i < host.nr_pages; i++) {
		cJSON *item = add_item(sizes);

		pd_json__u64(item, "bytes", (__u64)host.pages[i].size_kb << 10);
		pd_json__u64(item, "total", host.pages[i].total);
		pd_json__u64(item, "free", host.pages[i].free);
	}
	pd_json__string(hugepages, "transparent", or_null(host.transparent));

	cJSON_AddBoolToObject(numa, "available", host.numa);
	for (size_t i = 0; i < host.nr_nodes; i++) {
		cJSON *item = add_item(nodes);

		cJSON_AddNumberToObject(item, "node", host.nodes[i].node);
		cJSON_AddStringToObject(item, "cpus", host.nodes[i].cpus);
		pd_json__u64(item, "bytes", host.nodes[i].memory);
		pd_json__u64(item, "free", host.nodes[i].free);
	}
	cJSON_AddBoolToObject(doc, "ktls", host.ktls);
	cJSON_AddBoolToObject(doc, "mptcp", host.mptcp);
}

static void defects_to_json(cJSON *doc)
{
	cJSON *list = cJSON_AddArrayToObject(doc, "defects");

	for (const struct pd_defect *d = pd_defects; d->name; d++) {
		cJSON *item = add_item(list);

		cJSON_AddStringToObject(item, "name", d->name);
		cJSON_AddStringToObject(item, "state", pd_defect__state(d));
		cJSON_AddStringToObject(item, "with_pdload", d->avoided ? "avoided" : "inherited");
		cJSON_AddStringToObject(item, "what", d->what);
		cJSON_AddStringToObject(item, "suffers", d->suffers);
		pd_json__string(item, "seen", or_null(d->detail));
	}
}

static void print_json(void)
{
	cJSON *doc = cJSON_CreateObject();
	cJSON *kernel;

	cJSON_AddStringToObject(doc, "pdload", PD_VERSION);
	kernel = cJSON_AddObjectToObject(doc, "kernel");
	cJSON_AddStringToObject(kernel, "release", host.release);
	cJSON_AddStringToObject(kernel, "machine", host.machine);
	cJSON_AddNumberToObject(kernel, "cpus", host.cpus);
	features_to_json(doc);
	security_to_json(doc);
	host_to_json(doc);
	defects_to_json(doc);
	pd_json__string(doc, "engine", why_no_engine() ? NULL : pd_name__engine(PD_ENGINE_SOCKMAP));
	pd_json__string(doc, "why", why_no_engine());
	pd_json__print(doc);
}

int pd_probe__main(int argc, char **argv)
{
	static const struct argp argp = {
		.children = pd_args_none,
		.doc = "Report what this kernel and host can do: features of the kernel, security "
		       "modules, loading of modules, DMA channels, huge pages, NUMA nodes, and, "
		       "tried on a pair of sockets of its own, where the kernel's sockmap redirect "
		       "differs from TCP. Changes nothing and takes a few seconds, 30 at most.",
	};
	const char *why_not = NULL;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	pd_features__collect(&features);
	pd_host__collect(&host);
	if (!features.privileged)
		why_not = "needs root";
	else if (features.refused)
		why_not = "the kernel refuses BPF programs here";
	pd_defects__run(why_not);
	if (pd_json)
		print_json();
	else
		print_text();
	pd_features__free(&features);
	return PD_EXIT_OK;
}
