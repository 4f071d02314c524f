/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs behind the figures have in common. Whatever goes wrong ends them. */
#ifndef PAPER_H
#define PAPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- buffer.c --------------------------------------------------------------------- */

/* Zeros, in huge pages or in ordinary ones of which hardly any are adjacent, and no child's. */
void *buffer_map(size_t size, bool huge);

/* Of memory that @data is in: pages that are adjacent there make one. */
unsigned int buffer_stretches(const void *data, size_t size);

/* The stream of connection @id: no two are the same, and no power of two is a period. */
void pattern_fill(void *data, size_t size, unsigned int id, uint64_t place);
void pattern_check(const void *data, size_t size, unsigned int id, uint64_t place);

/* ---- process.c -------------------------------------------------------------------- */

/* In the network namespace @name from now on. */
void enter_netns(const char *name);

/* So many files may be open. */
void allow_files(unsigned int nr);

/* By the machine's clock, in ns. */
uint64_t now(void);

/* What one process tells another beside the connections. */
void tell(int fd, uint64_t value);
uint64_t await(int fd);

/* The children have all exited with 0. */
void reap(unsigned int children);

/* ---- moved.c ---------------------------------------------------------------------- */

/* Bytes of payload, by who moved them: differences are asked for. */
struct moved {
	uint64_t tcp;
	uint64_t cpu; /* the module's */
	uint64_t dma;
};

/* TCP's bytes are those that @fds have sent. */
void moved_add_tcp(struct moved *moved, const int *fds, unsigned int nr);
/* The module's are those of the whole machine; none if it is not there. */
void moved_add_module(struct moved *moved);

#endif /* PAPER_H */
