/* SPDX-License-Identifier: GPL-2.0-only */
/* What of a host matters to the engines beside BPF: security modules, loading
 * of modules, DMA channels, huge pages, NUMA nodes.
 */
#ifndef PD_HOST_H
#define PD_HOST_H

#include "pd_features.h"

#define PD_MAX_CHANNELS 256
#define PD_MAX_PAGE_SIZES 8
#define PD_MAX_NODES 64

struct pd_host {
	char release[65];
	char machine[65];
	long cpus; /* online */

	char lsms[256]; /* comma-separated; empty: unknown */
	char lsms_note[256];
	char lockdown[32]; /* "none", "integrity", "confidentiality"; empty: unknown */

	enum pd_answer modules; /* can this process load any? */
	char modules_why[256]; /* why not */

	struct pd_channel {
		char name[32];
		char driver[64];
		unsigned int clients; /* in use by so many */
		int node; /* NUMA node, -1: unknown */
	} channels[PD_MAX_CHANNELS];
	size_t nr_channels;

	struct pd_pages {
		unsigned long size_kb;
		unsigned long total;
		unsigned long free;
	} pages[PD_MAX_PAGE_SIZES];
	size_t nr_pages;
	char transparent[16]; /* "always", "madvise", "never"; empty: unknown */

	struct pd_node {
		int node;
		char cpus[128]; /* "0-3,8" */
		long long memory; /* bytes */
		long long free;
	} nodes[PD_MAX_NODES];
	size_t nr_nodes;
	bool numa; /* the kernel knows of NUMA */

	bool ktls; /* the kernel offers the ULP "tls" now */
	enum pd_answer mptcp; /* enabled */
};

void pd_host__collect(struct pd_host *host);

/* ---- for the tests ---- */

/* The word in [brackets] of a sysfs choice, or "". Returns @word. */
char *pd_host__choice(const char *text, char *word, size_t len);
/* A set of CPUs as "0-3,8". Returns @text. */
struct bitmask;
char *pd_host__cpu_list(const struct bitmask *cpus, char *text, size_t len);

#endif /* PD_HOST_H */
