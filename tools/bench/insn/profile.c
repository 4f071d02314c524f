// SPDX-License-Identifier: GPL-2.0-only
/* A plugin for QEMU: how often each block of instructions was executed between the
 * two marks of counter.c. It looks from outside: what is executed stays the same to
 * the last instruction, and interrupts that are off hide nothing.
 *
 *     -plugin profile.so,out=FILE      lines of ADDRESS INSTRUCTIONS TIMES
 *
 * A block counts as executed to its end, which it is not where an exception ends it.
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
#define INLINE_ADD_U64 0

typedef uint64_t plugin_id;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
					      uint64_t imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *udata), int flags,
					    void *udata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t idx);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

#define MARK_BEGIN 0xd5032fdfU /* hint #126 */
#define MARK_END 0xd5032fffU /* hint #127 */

struct block {
	struct block *next;
	uint64_t address;
	uint64_t insns;
	uint64_t times; /* since the machine began; QEMU adds to it */
	uint64_t before; /* what that was at the first mark */
	uint64_t between; /* the marks, each time they came */
};

static struct block *blocks;
static const char *out;

static void begin(unsigned int vcpu, void *udata)
{
	for (struct block *block = blocks; block; block = block->next)
		block->before = block->times;
}

static void end(unsigned int vcpu, void *udata)
{
	FILE *file = fopen(out, "w");

	if (!file) {
		perror(out);
		exit(1);
	}
	for (struct block *block = blocks; block; block = block->next) {
		block->between += block->times - block->before;
		if (block->between)
			fprintf(file, "%016" PRIx64 " %" PRIu64 " %" PRIu64 "\n", block->address,
				block->insns, block->between);
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
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &block->times, 1);
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
