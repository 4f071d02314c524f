// SPDX-License-Identifier: GPL-2.0-only
/* A plugin for QEMU: how often each block of instructions was executed between the
 * two marks of counter.c. It looks from outside: what is executed stays the same to
 * the last instruction, and interrupts that are off hide nothing.
 *
 *     -plugin profile.so,out=FILE
 *
 * Lines are "ADDRESS insns TIMES INSTRUCTIONS" of each block, and "ADDRESS to TIMES ADDRESS" of
 * one after which another came. A block counts as executed to its end, which it is not where an exception ends it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What QEMU 7.2 calls, and what it lets a plugin call. */
#define EXPORT __attribute__((visibility("default")))
#define CB_NO_REGS 0

typedef uint64_t plugin_id;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int vcpu, void *udata), int flags,
					  void *udata);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *udata), int flags,
					    void *udata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t idx);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

#define MARK_BEGIN 0xd5032fdfU /* hint #126 */
#define MARK_END 0xd5032fffU /* hint #127 */

#define STEPS (1 << 20) /* more than there are; a power of two */

struct block {
	struct block *next;
	uint64_t address;
	uint64_t insns;
	uint64_t times; /* between the marks */
};

/* From one block to the one that came after it. */
struct step {
	const struct block *from;
	const struct block *to;
	uint64_t times;
};

static struct block *blocks;
static struct step steps[STEPS];
static size_t nr_steps;
static const struct block *last; /* NULL outside of the marks */
static bool counting;
static const char *out;

static struct step *find_step(const struct block *from, const struct block *to)
{
	size_t at = ((uintptr_t)from * 31 + (uintptr_t)to) / 16 * 0x9e3779b1U;

	while (steps[at %= STEPS].from && (steps[at].from != from || steps[at].to != to))
		at++;
	if (!steps[at].from && ++nr_steps == STEPS / 2) {
		fprintf(stderr, "profile.so: too many steps\n");
		exit(1);
	}
	steps[at].from = from;
	steps[at].to = to;
	return &steps[at];
}

static void execute(unsigned int vcpu, void *udata)
{
	struct block *block = udata;

	if (!counting)
		return;
	block->times++;
	if (last)
		find_step(last, block)->times++;
	last = block;
}

static void begin(unsigned int vcpu, void *udata)
{
	counting = true;
}

static void end(unsigned int vcpu, void *udata)
{
	FILE *file = fopen(out, "w");

	counting = false;
	last = NULL;
	if (!file) {
		perror(out);
		exit(1);
	}
	for (const struct block *block = blocks; block; block = block->next) {
		if (block->times)
			fprintf(file, "%016" PRIx64 " insns %" PRIu64 " %" PRIu64 "\n",
				block->address, block->times, block->insns);
	}
	for (size_t i = 0; i < STEPS; i++) {
		if (steps[i].from)
			fprintf(file, "%016" PRIx64 " to %" PRIu64 " %016" PRIx64 "\n",
				steps[i].from->address, steps[i].times, steps[i].to->address);
	}
	fclose(file);
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->insns = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, execute, CB_NO_REGS, block);
	for (size_t i = 0; i < block->insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t opcode;

		memcpy(&opcode, qemu_plugin_insn_data(insn), sizeof(opcode));
		if (opcode == MARK_BEGIN)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, CB_NO_REGS, NULL);
		else if (opcode == MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end, CB_NO_REGS, NULL);
	}
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "profile.so takes out=FILE\n");
		return -1;
	}
	out = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	return 0;
}
