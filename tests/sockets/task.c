// SPDX-License-Identifier: GPL-2.0-only
/* Threads and processes of a case, and calls that wait in them. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sockets.h"

static void *task_run(void *arg)
{
	struct task *task = arg;

	task->tid = syscall(SYS_gettid);
	task->run(task->arg);
	task->done = true;
	return NULL;
}

void task_start(struct task *task, void (*run)(void *arg), void *arg)
{
	task->run = run;
	task->arg = arg;
	task->tid = 0;
	task->done = false;
	require(!pthread_create(&task->thread, NULL, task_run, task));
}

void task_join(struct task *task)
{
	await(task->done);
	pthread_join(task->thread, NULL);
}

/* ---- calls ---------------------------------------------------------------- */

static void run_recv(void *arg)
{
	struct call *call = arg;

	call->returned = recv(call->fd, call->buf, call->len, call->flags);
	call->error = errno;
}

static void run_send(void *arg)
{
	struct call *call = arg;

	call->returned = send(call->fd, call->buf, call->len, call->flags | MSG_NOSIGNAL);
	call->error = errno;
}

static void start(struct call *call, void (*run)(void *arg), long number)
{
	call->number = number;
	task_start(&call->task, run, call);
	call_settles(call);
}

static void begin(struct call *call, void (*run)(void *arg), long number)
{
	start(call, run, number);
	if (call->task.done)
		give_up(__FILE__, __LINE__, "the call did not wait: it returned %zd, %s",
			call->returned, call->returned < 0 ? strerror(call->error) : "no error");
	call->switches = voluntary_switches(call->task.tid);
}

void recv_begin(struct call *call, int fd, size_t len, int flags)
{
	*call = (struct call){ .fd = fd, .len = len, .flags = flags, .buf = malloc(len + 1) };
	begin(call, run_recv, SYS_recvfrom);
}

void send_begin(struct call *call, int fd, const void *buf, size_t len, int flags)
{
	*call = (struct call){ .fd = fd, .len = len, .flags = flags, .buf = (void *)buf };
	begin(call, run_send, SYS_sendto);
}

void send_begin_full(struct call *call, struct flow *flow, size_t len)
{
	/* The window's last bytes go out with a probe, which makes a little room. */
	for (int i = 0; i < 100; i++) {
		flow_fill_up(flow);
		*call = (struct call){ .fd = flow->from, .len = len, .buf = flow_next(flow, len) };
		start(call, run_send, SYS_sendto);
		if (!call->task.done)
			break;
		call_returns(call, len);
		flow_sent(flow, len);
	}
	call->switches = voluntary_switches(call->task.tid);
}

void send_late(struct call *call)
{
	task_start(&call->task, run_send, call);
}

void recv_late(struct call *call)
{
	task_start(&call->task, run_recv, call);
}

bool call_stirred(struct call *call)
{
	unsigned long switches;

	if (call->task.done)
		return true;
	switches = voluntary_switches(call->task.tid);
	/* Woken by a sender that still has the lock of its socket it waits for that, and has
	 * taken nothing yet.
	 */
	if (switches == call->switches || !sleeps_in(call->task.tid, call->number))
		return false;
	call->switches = voluntary_switches(call->task.tid);
	return true;
}

void call_settles(struct call *call)
{
	/* A task that is woken is not asleep from that moment on. */
	await(call->task.done || sleeps_in(call->task.tid, call->number));
}

void call_join(struct call *call)
{
	task_join(&call->task);
}

void call_returns(struct call *call, ssize_t want)
{
	call_join(call);
	errno = call->error;
	check_returned(__FILE__, __LINE__, "the call that waited", want, call->returned);
}

void call_fails(struct call *call, int error)
{
	call_join(call);
	errno = call->error;
	check_failed(__FILE__, __LINE__, "the call that waited", error, call->returned);
}

/* ---- pumps ---------------------------------------------------------------- */

static void run_pump(struct pump *pump, unsigned int seed,
		     ssize_t (*move)(struct flow *flow, size_t len, int flags))
{
	size_t left = pump->len;

	while (left) {
		size_t len = 1 + random_below(&seed, pump->most);
		ssize_t n = succeeds(move(pump->flow, len < left ? len : left, 0));

		if (!n)
			give_up(__FILE__, __LINE__, "end of file %zu bytes early", left);
		left -= n;
	}
}

static void run_pump_in(void *arg)
{
	struct pump *pump = arg;

	run_pump(pump, pump->flow->stream + 1, flow_send);
}

static void run_pump_out(void *arg)
{
	struct pump *pump = arg;

	run_pump(pump, pump->flow->stream + 1001, flow_recv);
}

static void pump_start(struct pump *pump, void (*run)(void *arg), struct flow *flow, size_t len,
		       size_t most)
{
	pump->flow = flow;
	pump->len = len;
	pump->most = most;
	task_start(&pump->task, run, pump);
}

void pump_in(struct pump *pump, struct flow *flow, size_t len, size_t most)
{
	pump_start(pump, run_pump_in, flow, len, most);
}

void pump_out(struct pump *pump, struct flow *flow, size_t len, size_t most)
{
	pump_start(pump, run_pump_out, flow, len, most);
}

void pump_join(struct pump *pump)
{
	task_join(&pump->task);
}

/* ---- processes ------------------------------------------------------------ */

pid_t process_start(void (*run)(void *arg), void *arg)
{
	pid_t pid = succeeds(fork());

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run(arg);
	_exit(0);
}

static int reap(pid_t pid)
{
	int status = 0;

	await(succeeds(waitpid(pid, &status, WNOHANG)) == pid);
	return status;
}

void process_join(pid_t pid)
{
	int status = reap(pid);

	if (status)
		give_up(__FILE__, __LINE__, "a process of the case ended with wait status %#x",
			status);
}

void process_kill(pid_t pid)
{
	succeeds(kill(pid, SIGKILL));
	reap(pid);
}

/* ---- signals -------------------------------------------------------------- */

static void do_nothing(int signal)
{
}

void catch_signals(int flags)
{
	const struct sigaction action = { .sa_handler = do_nothing, .sa_flags = flags };

	succeeds(sigaction(SIGUSR1, &action, NULL));
}

void interrupt(struct call *call)
{
	require(!pthread_kill(call->task.thread, SIGUSR1));
}
