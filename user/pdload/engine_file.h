/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/pipedevice_engines: what the module says of its DMA engine, and what it is told.
 * It is text, a line an item, and there only while the module is loaded.
 */
#ifndef PD_ENGINE_FILE_H
#define PD_ENGINE_FILE_H

#include "pdload.h"

#define PD_ENGINE_WHY 256
#define PD_ENGINE_NEVER UINT64_MAX /* the threshold of a node where DMA never wins */

struct pd_engines {
	bool on;
	__u64 wanted; /* channels; 0: all */
	__u64 timeout_ms;

	struct pd_engine_channel {
		char name[32];
		char driver[64]; /* empty: none is bound */
		int node; /* NUMA node, -1: none */
		__u64 depth; /* descriptors at which the driver first refused one; 0: never */
		char state[16]; /* "active", "retired", "stopping" */
		__u64 copies;
		__u64 bytes;
		__u64 errors;
		__u64 timeouts;
	} * channels;
	size_t nr_channels;

	struct pd_engine_refused {
		char name[32];
		char driver[64];
		char reason[160];
	} * refused;
	size_t nr_refused;

	struct pd_engine_threshold {
		int node;
		bool by_hand; /* set, not measured; holds for both kinds of pages */
		/* From this size on DMA copies. */
		__u64 bytes; /* buffers in ordinary pages */
		__u64 huge_bytes; /* in huge ones; as @bytes of a module that makes no difference */
		bool has_bytes, has_huge; /* lines that were there */
	} * thresholds; /* in force: one a node */
	size_t nr_thresholds;

	struct pd_engine_measured {
		int node;
		bool huge; /* of buffers in huge pages */
		__u64 size;
		/* ns for a copy of that size; 0: not measured */
		__u64 cpu_ns;
		__u64 one_ns; /* by one channel */
		__u64 all_ns; /* by all channels */
	} * measured;
	size_t nr_measured;
};

/* What stands in @file, to @engines, which need not be initialised. Lines that begin with a
 * word that this pdload does not know are passed over: a newer module has more to say.
 * Returns 0, or -errno, nothing to free, and in @why a sentence without its stop.
 */
int pd_engine_file__parse(FILE *file, struct pd_engines *engines, char why[PD_ENGINE_WHY]);
/* The same of the module's file; -ENOENT if it is not there. */
int pd_engine_file__read(struct pd_engines *engines, char why[PD_ENGINE_WHY]);
void pd_engine_file__free(struct pd_engines *engines);

/* Give the module one command, such as "dma on". 0, or -errno as the module says. */
int pd_engine_file__command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif /* PD_ENGINE_FILE_H */
