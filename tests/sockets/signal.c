// SPDX-License-Identifier: GPL-2.0-only
/* Signals that come while a call waits, and signals that tell of data. */
#include <sys/time.h>
#include <sys/wait.h>

#include "sockets.h"

static void signal_ends_a_blocked_recv_with_eintr(int from, int to)
{
	struct call call;

	catch_signals(0);
	recv_begin(&call, to, 100, 0);
	interrupt(&call);
	call_fails(&call, EINTR);
	say(from, "a");
	hear(to, "a");
}

static void recv_is_restarted_if_asked_for(int from, int to)
{
	struct call call;

	catch_signals(SA_RESTART);
	recv_begin(&call, to, 100, 0);
	interrupt(&call);
	await(call_stirred(&call));
	say(from, "a");
	call_returns(&call, 1);
}

static void recv_with_a_timeout_is_not_restarted(int from, int to)
{
	const struct timeval timeout = { .tv_sec = 30 };
	struct call call;

	succeeds(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	catch_signals(SA_RESTART);
	recv_begin(&call, to, 100, 0);
	interrupt(&call);
	call_fails(&call, EINTR);
}

static void signal_ends_a_blocked_send_with_what_was_taken(int from, int to)
{
	struct flow flow = flow_between(from, to);
	size_t len = MIB(16);
	struct call call;

	catch_signals(0);
	send_begin(&call, from, flow_next(&flow, len), len, 0);
	interrupt(&call);
	call_join(&call);
	assert_in_range(call.returned, 1, len - 1);
	flow_sent(&flow, call.returned);
	flow_drain(&flow);
}

static void signal_ends_a_full_send_with_eintr(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	catch_signals(0);
	send_begin_full(&call, &flow, 1);
	interrupt(&call);
	call_fails(&call, EINTR);
	flow_drain(&flow);
	succeeds(shutdown(from, SHUT_WR));
	flow_end(&flow);
}

static void send_is_restarted_if_asked_for(int from, int to)
{
	struct flow flow = flow_between(from, to);
	struct call call;

	catch_signals(SA_RESTART);
	send_begin_full(&call, &flow, 1000);
	interrupt(&call);
	await(call_stirred(&call));
	flow_drain(&flow);
	call_returns(&call, 1000);
	flow_sent(&flow, 1000);
	flow_drain(&flow);
}

static void hear_a_word(void *arg)
{
	const int *fd = arg;

	hear(*fd, "word");
}

static void stopped_and_continued_reader_reads_on(int from, int to)
{
	pid_t pid = process_start(hear_a_word, &to);
	int status;

	await(sleeps_in(pid, SYS_recvfrom));
	succeeds(kill(pid, SIGSTOP));
	returns(pid, waitpid(pid, &status, WUNTRACED));
	assert_true(WIFSTOPPED(status));
	succeeds(kill(pid, SIGCONT));
	returns(pid, waitpid(pid, &status, WCONTINUED));
	await(sleeps_in(pid, SYS_recvfrom));
	say(from, "word");
	process_join(pid);
}

static void word_sent_to_a_stopped_reader_is_read_later(int from, int to)
{
	pid_t pid = process_start(hear_a_word, &to);
	int status;

	await(sleeps_in(pid, SYS_recvfrom));
	succeeds(kill(pid, SIGSTOP));
	returns(pid, waitpid(pid, &status, WUNTRACED));
	say(from, "word");
	succeeds(kill(pid, SIGCONT));
	process_join(pid);
}

/* Every call may be cut short at any byte. */
static void storm_of_signals_loses_nothing(int from, int to)
{
	const struct itimerval often = { { .tv_usec = 300 }, { .tv_usec = 300 } };
	const struct itimerval never = { 0 };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct flow flow = flow_between(from, to);
	struct sigaction caught;
	struct pump pump;

	catch_signals(SA_RESTART);
	succeeds(sigaction(SIGUSR1, NULL, &caught));
	succeeds(sigaction(SIGALRM, &caught, NULL));
	succeeds(setitimer(ITIMER_REAL, &often, NULL));
	pump_out(&pump, &flow, KIB(700), 50000);
	flow_put(&flow, KIB(700));
	pump_join(&pump);
	succeeds(setitimer(ITIMER_REAL, &never, NULL));
	succeeds(sigaction(SIGALRM, &ignore, NULL));
}

/* ---- SIGIO --------------------------------------------------------------------- */

static atomic_int told, told_fd, told_band;

static void tell(int signal, siginfo_t *info, void *context)
{
	told_fd = info->si_fd;
	told_band = info->si_band;
	told++;
}

static void be_told_of(int fd, int signal)
{
	const struct sigaction action = {
		.sa_sigaction = tell,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	told = 0;
	succeeds(sigaction(signal, &action, NULL));
	succeeds(fcntl(fd, F_SETOWN, getpid()));
	if (signal != SIGIO)
		succeeds(fcntl(fd, F_SETSIG, signal));
	succeeds(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

static void sigio_tells_of_data(int from, int to)
{
	be_told_of(to, SIGIO);
	say(from, "a");
	await(told > 0);
	hear(to, "a");
	told = 0;
	say(from, "b");
	await(told > 0);
	hear(to, "b");
}

static void chosen_signal_tells_of_data_and_of_the_end(int from, int to)
{
	be_told_of(to, SIGRTMIN);
	say(from, "a");
	await(told > 0);
	assert_int_equal(told_fd, to);
	assert_true(told_band & POLLIN);
	hear(to, "a");
	told = 0;
	succeeds(shutdown(from, SHUT_WR));
	await(told > 0);
	hear_end(to);
}

static void sigio_tells_of_room(int from, int to)
{
	struct flow flow = flow_between(from, to);

	be_told_of(from, SIGRTMIN);
	flow_fill_up(&flow);
	told = 0;
	flow_drain(&flow);
	await(told > 0);
	assert_true(told_band & POLLOUT);
}

const struct test signal_tests[] = {
	TEST_WAYS(signal_ends_a_blocked_recv_with_eintr),
	TEST_WAYS(recv_is_restarted_if_asked_for),
	TEST_WAYS(recv_with_a_timeout_is_not_restarted),
	TEST_WAYS(signal_ends_a_blocked_send_with_what_was_taken),
	TEST_WAYS(signal_ends_a_full_send_with_eintr),
	TEST_WAYS(send_is_restarted_if_asked_for),
	TEST_WAYS(stopped_and_continued_reader_reads_on),
	TEST_WAYS(word_sent_to_a_stopped_reader_is_read_later),
	TEST_WAYS(storm_of_signals_loses_nothing),
	TEST_WAYS(sigio_tells_of_data),
	TEST_WAYS(chosen_signal_tells_of_data_and_of_the_end),
	TEST_WAYS(sigio_tells_of_room),
	{ 0 },
};
