/* SPDX-License-Identifier: GPL-2.0-only */
/* What probe reads of a host, the scratch pair, and the limit on a trial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <numa.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "defects.h"
#include "host.h"

static void option_of_a_kernel_configuration_is_found_by_its_whole_name(void **state)
{
	static const char text[] = "# CONFIG_TLS is not set\n"
				   "CONFIG_TLS_DEVICE=y\n"
				   "CONFIG_IPV6=m\n"
				   "CONFIG_HZ=250\n"
				   "CONFIG_LSM=\"lockdown,bpf\"\n"
				   "CONFIG_BPF=y";
	char value[128];

	assert_string_equal(pd_config__value(text, "CONFIG_TLS", value), "n");
	assert_string_equal(pd_config__value(text, "CONFIG_TLS_DEVICE", value), "y");
	assert_string_equal(pd_config__value(text, "CONFIG_IPV6", value), "m");
	assert_string_equal(pd_config__value(text, "CONFIG_HZ", value), "250");
	assert_string_equal(pd_config__value(text, "CONFIG_LSM", value), "lockdown,bpf");
	assert_string_equal(pd_config__value(text, "CONFIG_BPF", value), "y");
	assert_string_equal(pd_config__value("", "CONFIG_BPF", value), "n");
}

static void chosen_word_is_the_one_in_brackets(void **state)
{
	char word[8];

	assert_string_equal(pd_host__choice("always [madvise] never", word, sizeof(word)),
			    "madvise");
	assert_string_equal(pd_host__choice("none [confidentiality]", word, sizeof(word)),
			    "confide");
	assert_string_equal(pd_host__choice("always", word, sizeof(word)), "");
	assert_string_equal(pd_host__choice("[open", word, sizeof(word)), "");
}

static void cpu_list_joins_neighbours(void **state)
{
	struct bitmask *cpus = numa_bitmask_alloc(128);
	char text[32], small[6];

	assert_string_equal(pd_host__cpu_list(cpus, text, sizeof(text)), "");
	numa_bitmask_setbit(cpus, 0);
	numa_bitmask_setbit(cpus, 1);
	numa_bitmask_setbit(cpus, 2);
	numa_bitmask_setbit(cpus, 8);
	numa_bitmask_setbit(cpus, 126);
	numa_bitmask_setbit(cpus, 127);
	assert_string_equal(pd_host__cpu_list(cpus, text, sizeof(text)), "0-2,8,126-127");
	assert_string_equal(pd_host__cpu_list(cpus, small, sizeof(small)), "0-2,8");
	numa_bitmask_free(cpus);
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
}

static void helper_that_a_program_type_lacks_is_told_from_one_it_has(void **state)
{
	need_root();
	assert_int_equal(pd_features__helper(true, BPF_FUNC_get_socket_cookie), PD_YES);
	assert_int_equal(pd_features__helper(false, BPF_FUNC_msg_redirect_hash), PD_YES);
	/* Neither has it, in any kernel. */
	assert_int_equal(pd_features__helper(true, BPF_FUNC_msg_redirect_hash), PD_NO);
	assert_int_equal(pd_features__helper(false, BPF_FUNC_sock_hash_update), PD_NO);
	/* No kernel has that many helpers. */
	assert_int_equal(pd_features__helper(true, 100000), PD_NO);
}

static void carry(bool enrolled)
{
	struct pd_scratch pair;
	char buf[8] = "";

	assert_int_equal(pd_scratch__open(&pair, enrolled), 0);
	assert_int_equal(!!pair.skel, enrolled);
	assert_int_equal(send(pair.client, "ping", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(recv(pair.server, buf, sizeof(buf), 0), 4);
	assert_string_equal(buf, "ping");
	assert_int_equal(send(pair.server, "pong", 4, MSG_NOSIGNAL), 4);
	assert_int_equal(recv(pair.client, buf, sizeof(buf), 0), 4);
	assert_string_equal(buf, "pong");
	pd_scratch__close(&pair);
	assert_int_equal(pair.client, -1);
	pd_scratch__close(&pair);
}

static void plain_pair_carries_bytes_both_ways(void **state)
{
	carry(false);
}

static void enrolled_pair_carries_bytes_both_ways(void **state)
{
	need_root();
	carry(true);
}

static void enrolling_a_pair_twice_is_busy_and_leaves_it_working(void **state)
{
	struct pd_scratch pair;
	char byte = 0;
	void *skel;

	need_root();
	assert_int_equal(pd_scratch__open(&pair, true), 0);
	skel = pair.skel;
	assert_int_equal(pd_scratch__enrol(&pair), -EBUSY);
	assert_ptr_equal(pair.skel, skel);
	assert_int_equal(send(pair.client, "x", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(pair.server, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	pd_scratch__close(&pair);
}

static void never_ends(struct pd_trial *trial)
{
	for (;;)
		pause();
}

static void *never_ends_either(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void ends_beside_a_thread_that_does_not(struct pd_trial *trial)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, never_ends_either, NULL), 0);
	trial->figure = 42;
	pd_trial__as_tcp(trial);
}

static void crashes(struct pd_trial *trial)
{
	_exit(3);
}

static void differs(struct pd_trial *trial)
{
	pd_trial__defect(trial, "%d of %d", 1, 2);
}

static void trial_that_hangs_ends_at_its_limit_and_leaves_no_process(void **state)
{
	struct timespec a, b;
	struct pd_trial trial;

	clock_gettime(CLOCK_MONOTONIC, &a);
	pd_trial__run(&trial, never_ends, false, false, 200);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(trial.outcome, PD_OUTCOME_HUNG);
	assert_true(b.tv_sec - a.tv_sec < 3);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void result_of_a_trial_comes_back_from_its_process(void **state)
{
	struct pd_trial trial;

	pd_trial__run(&trial, ends_beside_a_thread_that_does_not, false, false, 3000);
	assert_int_equal(trial.outcome, PD_OUTCOME_TCP);
	assert_true(trial.figure == 42);
	pd_trial__run(&trial, differs, false, false, 3000);
	assert_int_equal(trial.outcome, PD_OUTCOME_DEFECT);
	assert_string_equal(trial.detail, "1 of 2");
	pd_trial__run(&trial, crashes, false, false, 3000);
	assert_int_equal(trial.outcome, PD_OUTCOME_UNTESTED);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void every_self_test_finds_plain_tcp_correct(void **state)
{
	for (const struct pd_defect *d = pd_defects; d->name; d++) {
		struct pd_trial trial;

		if (!d->test)
			continue;
		pd_trial__run(&trial, d->test, false, d->late, 3000);
		/* Where TCP itself lacks the feature, it says so. */
		if (trial.outcome == PD_OUTCOME_UNTESTED && strstr(trial.detail, "this kernel"))
			continue;
		if (trial.outcome != PD_OUTCOME_TCP)
			fail_msg("%s: %s", d->name, trial.detail);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_of_a_kernel_configuration_is_found_by_its_whole_name),
		cmocka_unit_test(chosen_word_is_the_one_in_brackets),
		cmocka_unit_test(cpu_list_joins_neighbours),
		cmocka_unit_test(helper_that_a_program_type_lacks_is_told_from_one_it_has),
		cmocka_unit_test(plain_pair_carries_bytes_both_ways),
		cmocka_unit_test(enrolled_pair_carries_bytes_both_ways),
		cmocka_unit_test(enrolling_a_pair_twice_is_busy_and_leaves_it_working),
		cmocka_unit_test(trial_that_hangs_ends_at_its_limit_and_leaves_no_process),
		cmocka_unit_test(result_of_a_trial_comes_back_from_its_process),
		cmocka_unit_test(every_self_test_finds_plain_tcp_correct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
