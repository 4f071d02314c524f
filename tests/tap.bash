# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How tests in shell say what they found: TAP on standard output. What the tests
# of a topic share sources this and sets WORK, a directory for the output of a
# case, and perhaps SEED.
#
#     check SENTENCE CMD...     one case: CMD succeeds; what it prints is shown if not
#     ok SENTENCE, not_ok SENTENCE, skip SENTENCE REASON
#                               one case whose verdict is known
#     note                      a filter: each line a diagnostic
#     watch_kernel MARK         what the kernel says from here on counts; MARK is
#                               written to its log
#     finish                    the last case, the kernel's log, and the plan; its
#                               status is the test's

WORK=
kernel_mark=
open_check= # the sentence of the case that is being run
tests=0
failures=0

# What a helper has marked as a diagnostic already is marked once.
note() { sed 's/^\(# \)*/# /'; }

ok() {
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

not_ok() {
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
}

# skip SENTENCE REASON
skip() {
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

check() {
	local sentence=$1
	shift

	close_check
	open_check=$sentence
	if "$@" >"$WORK/check.log" 2>&1; then
		ok "$sentence"
	else
		tail -n 60 "$WORK/check.log" | note
		echo "# failed${SEED:+ (seed $SEED)}: $*"
		not_ok "$sentence"
	fi
	open_check=
}

# An error in an expression makes bash drop everything up to the next line of
# the test: the case that was open then has failed.
close_check() {
	[ -n "$open_check" ] || return 0
	tail -n 60 "$WORK/check.log" | note
	not_ok "$open_check"
	open_check=
}

watch_kernel() {
	kernel_mark="$1 begins"
	echo "$kernel_mark" >/dev/kmsg
}

kernel_is_quiet() {
	! dmesg -x | sed -n "/$kernel_mark/,\$p" | grep '^kern' |
		grep -E 'WARNING: |BUG: |Oops|general protection|refcount_t|soft lockup|INFO: (task|rcu)'
}

finish() {
	check "the kernel log shows no warning, bug or oops" kernel_is_quiet
	echo "1..$tests"
	[ "$failures" -eq 0 ]
}
