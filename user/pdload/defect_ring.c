/* SPDX-License-Identifier: GPL-2.0-only */
/* The self-test that needs io_uring, by its system calls alone. */
#include "defect_tests.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One request on a ring of its own; its result, or -errno of the ring itself
 * in *@ring_err.
 */
static int run_on_ring(const struct io_uring_sqe *sqe, int *ring_err)
{
	struct io_uring_params p = { 0 };
	struct io_uring_sqe *sqes;
	char *sq, *cq;
	int fd;

	*ring_err = 0;
	fd = syscall(SYS_io_uring_setup, 4, &p);
	if (fd < 0) {
		*ring_err = -errno;
		return 0;
	}
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(__u32), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
	cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED) {
		*ring_err = -errno;
		return 0;
	}
	sqes[0] = *sqe;
	((__u32 *)(sq + p.sq_off.array))[0] = 0;
	__atomic_store_n((__u32 *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
		*ring_err = -errno;
		return 0;
	}
	/* Sends complete first; the notice that the buffer is free comes after. */
	return ((struct io_uring_cqe *)(cq + p.cq_off.cqes))[0].res;
}

void pd_test_send_zc(struct pd_trial *t)
{
	static const char text[] = "0123456789";
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SEND_ZC,
		.fd = t->pair.client,
		.addr = (uintptr_t)text,
		.len = 10,
	};
	int err, res = run_on_ring(&sqe, &err);

	if (err)
		pd_trial__untested(t, "can't use io_uring: %s", strerror(-err));
	else if (res == 10)
		pd_trial__as_tcp(t);
	else if (res == -EINVAL)
		pd_trial__untested(t, "this kernel has no IORING_OP_SEND_ZC (Linux 6.0 has)");
	else
		pd_trial__defect(t, "io_uring SEND_ZC: %s", res < 0 ? strerror(-res) : "short");
}
