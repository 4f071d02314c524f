/* SPDX-License-Identifier: GPL-2.0-only */
/* What of a host matters to the engines beside BPF. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <numa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* First line of a file, without its newline; false and "" if there is none. */
static bool read_line(char *line, size_t len, const char *path)
{
	FILE *f = fopen(path, "re");
	bool ok;

	line[0] = '\0';
	if (!f)
		return false;
	ok = fgets(line, len, f);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return ok;
}

static unsigned long read_number(const char *directory, const char *name)
{
	char path[PATH_MAX + 64], line[64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return read_line(line, sizeof(line), path) ? strtoul(line, NULL, 10) : 0;
}

char *pd_host__choice(const char *text, char *word, size_t len)
{
	const char *from = strchr(text, '[');
	const char *to = from ? strchr(from, ']') : NULL;

	word[0] = '\0';
	if (to)
		snprintf(word, len, "%.*s", (int)(to - from - 1), from + 1);
	return word;
}

static void look_at_security(struct pd_host *host)
{
	const char *file;
	char line[256], *config;

	read_line(line, sizeof(line), "/sys/kernel/security/lockdown");
	pd_host__choice(line, host->lockdown, sizeof(host->lockdown));
	if (read_line(host->lsms, sizeof(host->lsms), "/sys/kernel/security/lsm"))
		return;
	config = pd_config__read(&file);
	snprintf(host->lsms_note, sizeof(host->lsms_note),
		 "unknown, securityfs is not mounted at /sys/kernel/security; configured: %s",
		 pd_config__value(config ? config : "", "CONFIG_LSM", line));
	free(config);
}

/* Asked in the order in which the kernel refuses. */
static void look_at_modules(struct pd_host *host)
{
	char line[64], path[128];
	const char *why = NULL;

	snprintf(path, sizeof(path), "/lib/modules/%s", host->release);
	if (access("/proc/modules", F_OK))
		why = "this kernel is built without modules (CONFIG_MODULES)";
	else if (read_line(line, sizeof(line), "/proc/sys/kernel/modules_disabled") &&
		 strcmp(line, "0"))
		why = "loading is disabled until the next boot (kernel.modules_disabled)";
	else if (!(pd_features__capabilities() >> CAP_SYS_MODULE & 1))
		why = "this process lacks CAP_SYS_MODULE";
	else if (*host->lockdown && strcmp(host->lockdown, "none"))
		why = "lockdown takes modules only if the kernel trusts their signature";
	else if (strstr(host->lsms, "loadpin"))
		why = "the LSM loadpin takes modules only from the root file system";
	host->modules = why ? PD_NO : PD_YES;
	snprintf(host->modules_why, sizeof(host->modules_why), "%s", why ? why : "");
	if (!why && access(path, F_OK))
		snprintf(host->modules_why, sizeof(host->modules_why),
			 "but %s does not exist: none can be built here", path);
}

static int by_channel(const void *a, const void *b)
{
	return strverscmp(((const struct pd_channel *)a)->name,
			  ((const struct pd_channel *)b)->name);
}

static void look_at_channels(struct pd_host *host)
{
	static const char class[] = "/sys/class/dma";
	char path[PATH_MAX], link[PATH_MAX], line[32];
	DIR *dir = opendir(class);
	struct dirent *entry;

	while (dir && host->nr_channels < PD_MAX_CHANNELS && (entry = readdir(dir))) {
		struct pd_channel *channel = &host->channels[host->nr_channels];
		ssize_t len;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(channel->name, sizeof(channel->name), "%.31s", entry->d_name);
		snprintf(path, sizeof(path), "%s/%s", class, entry->d_name);
		channel->clients = read_number(path, "in_use");
		snprintf(path, sizeof(path), "%s/%s/device/driver", class, entry->d_name);
		len = readlink(path, link, sizeof(link) - 1);
		link[len > 0 ? len : 0] = '\0';
		snprintf(channel->driver, sizeof(channel->driver), "%.63s",
			 strrchr(link, '/') ? strrchr(link, '/') + 1 : link);
		snprintf(path, sizeof(path), "%s/%s/device/numa_node", class, entry->d_name);
		channel->node = read_line(line, sizeof(line), path) ? atoi(line) : -1;
		host->nr_channels++;
	}
	if (dir)
		closedir(dir);
	qsort(host->channels, host->nr_channels, sizeof(host->channels[0]), by_channel);
}

static int by_size(const void *a, const void *b)
{
	unsigned long x = ((const struct pd_pages *)a)->size_kb;
	unsigned long y = ((const struct pd_pages *)b)->size_kb;

	return (x > y) - (x < y);
}

static void look_at_pages(struct pd_host *host)
{
	static const char parent[] = "/sys/kernel/mm/hugepages";
	DIR *dir = opendir(parent);
	struct dirent *entry;
	char path[PATH_MAX], line[128];

	while (dir && host->nr_pages < PD_MAX_PAGE_SIZES && (entry = readdir(dir))) {
		struct pd_pages *pages = &host->pages[host->nr_pages];

		if (sscanf(entry->d_name, "hugepages-%lukB", &pages->size_kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name);
		pages->total = read_number(path, "nr_hugepages");
		pages->free = read_number(path, "free_hugepages");
		host->nr_pages++;
	}
	if (dir)
		closedir(dir);
	qsort(host->pages, host->nr_pages, sizeof(host->pages[0]), by_size);
	read_line(line, sizeof(line), "/sys/kernel/mm/transparent_hugepage/enabled");
	pd_host__choice(line, host->transparent, sizeof(host->transparent));
}

char *pd_host__cpu_list(const struct bitmask *cpus, char *text, size_t len)
{
	unsigned int first, last;
	size_t at = 0;

	text[0] = '\0';
	for (first = 0; first < cpus->size && at < len; first = last + 1) {
		last = first;
		if (!numa_bitmask_isbitset(cpus, first))
			continue;
		while (last + 1 < cpus->size && numa_bitmask_isbitset(cpus, last + 1))
			last++;
		at += snprintf(text + at, len - at, first == last ? "%s%u" : "%s%u-%u",
			       at ? "," : "", first, last);
	}
	return text;
}

static void look_at_nodes(struct pd_host *host)
{
	struct bitmask *cpus;
	int node;

	host->numa = numa_available() >= 0;
	if (!host->numa)
		return;
	cpus = numa_allocate_cpumask();
	for (node = 0; node <= numa_max_node() && host->nr_nodes < PD_MAX_NODES; node++) {
		struct pd_node *n = &host->nodes[host->nr_nodes];

		if (!numa_bitmask_isbitset(numa_all_nodes_ptr, node))
			continue;
		n->node = node;
		if (!numa_node_to_cpus(node, cpus))
			pd_host__cpu_list(cpus, n->cpus, sizeof(n->cpus));
		n->memory = numa_node_size64(node, &n->free);
		host->nr_nodes++;
	}
	numa_free_cpumask(cpus);
}

void pd_host__collect(struct pd_host *host)
{
	struct utsname name;
	char line[256];

	memset(host, 0, sizeof(*host));
	uname(&name);
	snprintf(host->release, sizeof(host->release), "%s", name.release);
	snprintf(host->machine, sizeof(host->machine), "%s", name.machine);
	host->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	look_at_security(host);
	look_at_modules(host);
	look_at_channels(host);
	look_at_pages(host);
	look_at_nodes(host);

	read_line(line, sizeof(line), "/proc/sys/net/ipv4/tcp_available_ulp");
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		host->ktls |= !strcmp(word, "tls");
	host->mptcp = PD_NO;
	if (read_line(line, sizeof(line), "/proc/sys/net/mptcp/enabled") && !strcmp(line, "1"))
		host->mptcp = PD_YES;
}
