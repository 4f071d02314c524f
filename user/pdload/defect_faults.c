/* SPDX-License-Identifier: GPL-2.0-only */
/* The self-tests with a reader whose buffer is not in memory. With userfaultfd
 * the reader stays in the middle of its recv(), where it owns its socket, for
 * as long as the test wants.
 */
#include "defect_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "trial_steps.h"

struct fault {
	int fd;
	struct uffdio_range page; /* not there until resolve() */
	struct pd_call reader;
};

static bool make_page(struct pd_trial *t, struct fault *f)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register missing = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long size = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	f->page = missing.range = (struct uffdio_range){ (uintptr_t)page, size };
	f->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (page != MAP_FAILED && f->fd >= 0 && !ioctl(f->fd, UFFDIO_API, &api) &&
	    !ioctl(f->fd, UFFDIO_REGISTER, &missing))
		return true;
	pd_trial__untested(t, "this kernel has no userfaultfd or refuses it: %s", strerror(errno));
	return false;
}

/* Start a reader of one byte, which is there, and wait until it faults. */
static bool fault_in_recv(struct pd_trial *t, struct fault *f)
{
	if (!make_page(t, f))
		return false;
	f->reader = (struct pd_call){
		.fd = t->pair.server,
		.buf = (void *)(uintptr_t)f->page.start,
		.len = 1,
	};
	if (!pd_call__start(t, &f->reader))
		return false;
	if (pd_trial__ready(f->fd, POLLIN, PD_ARRIVE_MS))
		return true;
	pd_trial__untested(t, "a reader did not reach its buffer in %d ms", PD_ARRIVE_MS);
	return false;
}

/* Let the reader go on, and wait until it has its byte. */
static bool resolve(struct pd_trial *t, struct fault *f)
{
	struct uffdio_zeropage zero = { .range = f->page };

	if (!ioctl(f->fd, UFFDIO_ZEROPAGE, &zero) && pd_call__is_done(&f->reader, PD_ARRIVE_MS) &&
	    f->reader.got == 1)
		return true;
	pd_trial__untested(t, "a reader did not get its byte after the page fault");
	return false;
}

void pd_test_reader_faults(struct pd_trial *t)
{
	struct pd_call sender = {
		.fd = t->pair.client,
		.len = 1,
		.flags = MSG_DONTWAIT | MSG_NOSIGNAL,
		.sends = true,
	};
	struct fault fault;
	bool stopped;

	if (!pd_trial__give(t, "a") || !pd_trial__arrived(t, 1) || !fault_in_recv(t, &fault) ||
	    !pd_call__start(t, &sender))
		return;
	stopped = !pd_call__is_done(&sender, PD_ABSENT_MS);
	if ((stopped && !pd_call__wait_asleep(t, &sender)) || !resolve(t, &fault))
		return;
	if (!pd_call__is_done(&sender, PD_ARRIVE_MS) || sender.got != 1)
		pd_trial__defect(t, "send() to a reader in a page fault does not return");
	else if (stopped)
		pd_trial__defect(t, "send(MSG_DONTWAIT) waits for a page fault of the reader");
	else
		pd_trial__as_tcp(t);
}

/* More than the reader's socket puts off until its owner has gone, whatever
 * the kernel's way to count that from its buffers.
 */
#define BUFFER (64 << 10)
#define UNREAD (1 << 20)

void pd_test_late_reset(struct pd_trial *t)
{
	const struct linger reset = { .l_onoff = 1 };
	const struct timespec on_its_way = { .tv_nsec = PD_ABSENT_MS / 4 * 1000000L };
	struct fault fault;
	ssize_t unread;

	if (!pd_trial__set(t, SOL_SOCKET, SO_RCVBUF, BUFFER, "SO_RCVBUF") ||
	    !pd_trial__set(t, SOL_SOCKET, SO_SNDBUF, BUFFER, "SO_SNDBUF"))
		return;
	unread = pd_trial__fill(t, UNREAD);
	if (unread < 0 || !pd_trial__arrived(t, 1) || !fault_in_recv(t, &fault))
		return;
	if (setsockopt(t->pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset))) {
		pd_trial__untested(t, "this kernel has no SO_LINGER: %s", strerror(errno));
		return;
	}
	close(t->pair.client);
	t->pair.client = -1;
	/* While the reader owns its socket nothing tells when the reset comes. */
	nanosleep(&on_its_way, NULL);
	if (!resolve(t, &fault))
		return;
	if (pd_trial__ready(t->pair.server, POLLERR | POLLHUP, 2 * PD_ABSENT_MS))
		pd_trial__as_tcp(t);
	else
		pd_trial__defect(t, "a reset is lost with %zd KiB unread and the reader in recv()",
				 unread >> 10);
}
