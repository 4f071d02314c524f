/* SPDX-License-Identifier: GPL-2.0-only */
/* What a count of instructions is made of: the two ends of one connection, who
 * transfer and nothing else while it is on. Whatever goes wrong ends the program.
 */
#ifndef INSN_H
#define INSN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#define READ_BYTES 65536 /* buffers that streams are read with */

enum reader { READER_BLOCKING, READER_EPOLL };

/* One end of the connection. */
struct end {
	int fd;
	int epoll; /* -1 for a blocking reader */
	uint64_t sent; /* payload bytes, since the connection was established */
	uint64_t received;
	bool verify;
};

noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What this process sends from and receives into: a huge page, or ordinary ones. Once, before
 * it has an end.
 */
void end_choose_memory(bool huge);

/* @fd becomes the connection of @end. */
void end_open(struct end *end, int fd, enum reader reader);
void end_close(struct end *end);

/* In one send(), if the kernel takes it all. */
void end_send(struct end *end, size_t size);

/* @size bytes in all, with buffers of at most @limit. While end->verify is set,
 * each byte has to be what the other end sent at this place of the stream, which
 * then had it set, too.
 */
void end_receive(struct end *end, size_t size, size_t limit);
void end_receive_eof(struct end *end);

/* Bytes of payload that TCP itself carried, both directions; 0 on Unix sockets. */
uint64_t end_tcp_bytes(const struct end *end);

/* All instructions of this CPU, user and kernel: -1 if they can't be counted. */
int counter_open(void);

/* The count is read between two marks, which tools/bench/insn/profile.c looks for. */
uint64_t counter_begin(int counter);
uint64_t counter_end(int counter);

#endif /* INSN_H */
