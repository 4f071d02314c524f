#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The frame tested by itself: tools/run-tests on small programs whose verdict is known, and
# tools/check.sh on a small tree with one of each fault.
set -euo pipefail

ROOT=$(pwd)
scratch=$(mktemp -d)
cases=0
failed=0

cleanup() {
	rm -rf "$scratch"
	ip netns del "pd-frame-$$" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- tools/run-tests ---------------------------------------------------------

# new_tree: an empty checkout in which only the runner is real.
new_tree() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch"/tree/{tools,tests/unit,tests/net,build/san/tests/unit}
	cp "$ROOT/tools/run-tests" "$scratch/tree/tools/"
}

# net_test NAME: a test program of topic net, from stdin.
net_test() {
	{
		echo '#!/usr/bin/env bash'
		cat
	} >"$scratch/tree/tests/net/$1.sh"
	chmod +x "$scratch/tree/tests/net/$1.sh"
}

# unit_test NAME: a cmocka program, from stdin.
unit_test() {
	local source=$scratch/tree/tests/unit/test_$1.c
	{
		printf '#include <%s>\n' setjmp.h stdarg.h stddef.h stdint.h stdio.h stdlib.h cmocka.h
		cat
	} >"$source"
	"${CC:-gcc}" -o "$scratch/tree/build/san/tests/unit/test_$1" "$source" -lcmocka
}

# run TOPIC: runs it in the scratch tree; output in $scratch/out, status in $status.
run() {
	status=0
	env -u PDLOAD -u BUILD LEFTOVERS="${LEFTOVERS:-0}" "$scratch/tree/tools/run-tests" "$@" \
		>"$scratch/out" 2>&1 || status=$?
}

# expect SENTENCE STATUS LAST [PATTERN...]: of the last run: its status, its last line, and what
# its output must match. Prints the verdict.
expect() {
	local sentence=$1 want=$2 last=$3 reason='' pattern
	shift 3
	cases=$((cases + 1))
	[ "$status" -eq "$want" ] || reason="its status was $status, expected $want"
	[[ "$(tail -n 1 "$scratch/out")" =~ ^$last$ ]] || reason="the last line is not '$last'"
	for pattern; do
		grep -qE -- "$pattern" "$scratch/out" || reason="nothing matches '$pattern'"
	done
	! grep -q $'\e' "$scratch/out" || reason="there are escape codes"
	if [ -z "$reason" ]; then
		echo "ok $cases - $sentence"
		return
	fi
	echo "not ok $cases - $sentence"
	echo "# $reason; the output was:"
	sed 's/^/# /' "$scratch/out"
	failed=1
}

test_runner_verdicts() {
	new_tree
	net_test good <<<'echo 1..2; echo "ok 1 - a"; echo "ok 2 - b # SKIP no IPv6 here"'
	run net
	expect "a passing program is counted, with the reason of its skip and no escape codes" \
		0 "1 passed, 0 failed, 1 skipped" \
		'SKIP no IPv6 here'

	net_test bad <<<'echo 1..2; echo "before the verdict" >&2; echo "not ok 1 - c"
echo "# got 5, expected 6"; echo "ok 2 - d"; exit 1'
	run net
	expect "a failure is shown with what was printed before and after it" \
		1 "2 passed, 1 failed, 1 skipped" \
		'before the verdict' \
		'got 5, expected 6'

	new_tree
	net_test short <<<'echo 1..3; echo "ok 1 - a"'
	run net
	expect "a plan that does not match is a failure" 1 "1 passed, 1 failed, 0 skipped"

	new_tree
	net_test dies <<<'echo 1..1; echo "ok 1 - a"; kill -SEGV $$'
	run net
	expect "a program that dies by a signal after its last case is a failure" \
		1 "1 passed, 1 failed, 0 skipped" \
		'killed by signal 11'

	new_tree
	net_test status <<<'echo 1..1; echo "ok 1 - a"; exit 3'
	run net
	expect "a status that no failed case explains is a failure" \
		1 "1 passed, 1 failed, 0 skipped" \
		'exited with status 3'

	new_tree
	net_test silent <<<'echo nothing to say'
	run net
	expect "a program without a plan is a failure" 1 "0 passed, 1 failed, 0 skipped"

	new_tree
	net_test skips <<<'echo "1..0 # SKIP needs a second machine"'
	run net
	expect "a run in which nothing passed fails" 1 "0 passed, 0 failed, 1 skipped" \
		'needs a second machine'

	new_tree
	run programs
	expect "a topic without tests is a failure" 1 "0 passed, 1 failed, 0 skipped"

	run nonsense
	expect "an unknown topic is a wrong command line" 2 ".*"

	new_tree
	net_test a <<<'echo 1..1; echo "not ok 1 - a"; exit 1'
	net_test b <<<'echo 1..1; echo "ok 1 - b"'
	FAIL_FAST=1 run net
	expect "FAIL_FAST=1 stops after the first program that fails" \
		1 "0 passed, 1 failed, 0 skipped"

	new_tree
	net_test todo <<<'echo 1..1; echo "not ok 1 - a # TO""DO later"'
	run net
	expect "a failure excused as work to be done is a failure" 1 "0 passed, 1 failed, 0 skipped"
}

test_runner_limits() {
	new_tree
	net_test hangs <<<'echo 1..1; trap "echo cleaned; exit 1" TERM; (exec -a pd-frame-hang sleep 600) & wait'
	TEST_SECONDS=1 run net
	expect "a program that hangs is stopped, cleans up, and is counted" \
		1 "0 passed, 2 failed, 0 skipped" \
		'was stopped after 1 s' \
		'cleaned'

	new_tree
	net_test process <<<'echo 1..1; sleep 600 >/dev/null 2>&1 & echo "ok 1 - a"'
	run net
	expect "a process left running is a failure, and is ended" \
		1 "1 passed, 1 failed, 0 skipped" \
		'process [0-9]+ \(sleep\) was left running'
}

test_runner_leftovers() {
	new_tree
	net_test netns <<<"echo 1..1; ip netns add pd-frame-$$; echo 'ok 1 - a'"
	LEFTOVERS=1 run net
	expect "a network namespace left behind is a failure" 1 ".*" \
		"network namespace pd-frame-$$ was left behind"
	ip netns del "pd-frame-$$"

	new_tree
	net_test kernel <<<'echo 1..1; echo "<4>WARNING: from user space" >/dev/kmsg; echo "ok 1 - a"'
	LEFTOVERS=0 run net
	expect "what user space writes to the kernel log is not the kernel's trouble" \
		0 "1 passed, 0 failed, 0 skipped"
}

test_runner_cmocka() {
	new_tree
	unit_test groups <<'END'
static void good(void **state) { }
static void skips(void **state) { print_message("no huge pages\n"); skip(); }
int main(void)
{
	const struct CMUnitTest t[] = { cmocka_unit_test(good), cmocka_unit_test(skips) };
	return cmocka_run_group_tests_name("one", t, NULL, NULL) +
	       cmocka_run_group_tests_name("two", t, NULL, NULL);
}
END
	run unit
	expect "two groups of cmocka are one plan, and a skip has its reason" \
		0 "2 passed, 0 failed, 2 skipped" \
		'skips # SKIP no huge pages'

	new_tree
	unit_test fails <<'END'
static void bad(void **state) { assert_int_equal(1, 2); }
static int no_setup(void **state) { return -1; }
int main(int argc, char **argv)
{
	const struct CMUnitTest t[] = { cmocka_unit_test(bad), cmocka_unit_test_setup(bad, no_setup) };
	return cmocka_run_group_tests(t, NULL, NULL);
}
END
	run unit
	expect "a failed assertion of cmocka is shown, a failed setup is a failure" \
		1 "0 passed, 2 failed, 0 skipped" \
		'0x1 != 0x2' \
		'setup failed'

	new_tree
	unit_test dies <<'END'
static void good(void **state) { }
static void dies(void **state) { abort(); }
int main(void)
{
	const struct CMUnitTest t[] = { cmocka_unit_test(good), cmocka_unit_test(dies) };
	return cmocka_run_group_tests(t, NULL, NULL);
}
END
	run unit
	expect "a unit test that aborts is a failure" 1 ".*" \
		'^1 passed, [1-9] failed, 0 skipped$' \
		'killed by signal 6'

	new_tree
	echo 'int main(void) { return 0; }' >"$scratch/tree/tests/unit/test_absent.c"
	run unit
	expect "a unit test that was not built is a failure" 1 ".*" \
		"can't run"
}

# ---- tools/check.sh ----------------------------------------------------------

# fault SENTENCE FILE CONTENT FINDING: the tree with that file is refused, and it is named.
fault() {
	status=0
	mkdir -p "$(dirname "$scratch/tree/$2")"
	printf '%b' "$3" >"$scratch/tree/$2"
	"$scratch/tree/tools/check.sh" >"$scratch/out" 2>&1 || status=$?
	expect "$1" 1 "1\.\.[0-9]+" "^# $4"
	rm "$scratch/tree/$2"
}

test_checks() {
	local gpl='/* SPDX-License-Identifier: GPL-2.0-only */\n'
	local abi='/* SPDX-License-Identifier: GPL-2.0-only OR MIT */\n'
	local sh='#!/usr/bin/env bash\n# SPDX-License-Identifier: GPL-2.0-only\nset -euo pipefail\n'

	rm -rf "$scratch/tree"
	mkdir -p "$scratch"/tree/{tools,include,user,bpf,kmod,tests}
	cp "$ROOT/tools/check.sh" "$scratch/tree/tools/"
	cp "$ROOT"/{.clang-format,LICENSE} "$scratch/tree/"
	echo '# SPDX-License-Identifier: GPL-2.0-only' >"$scratch/tree/Makefile"
	echo 'A tree' >"$scratch/tree/README.md"
	printf '%b' "$abi" >"$scratch/tree/include/pd_maps.h"
	printf '%b' "$gpl" >"$scratch/tree/user/policy.h"
	status=0
	"$scratch/tree/tools/check.sh" >"$scratch/out" 2>&1 || status=$?
	expect "a tree without a fault passes" 0 "1\.\.[0-9]+"

	fault "C that is not formatted is named by file and line" \
		user/a.c "${gpl}int a( void );\n" 'user/a.c:2: is not formatted'
	# shellcheck disable=SC2016
	fault "a finding of shellcheck is named by file and line" \
		tools/a.sh "${sh}"'rm $1\n' 'tools/a.sh:4:.*SC2086'
	fault "a finding of cppcheck is named by file and line" \
		user/a.c "${gpl}int a(void)\n{\n\tint x;\n\n\treturn x;\n}\n" 'user/a.c:6: .*uninitvar'
	fault "kmod/ may not include pd_maps.h" \
		kmod/a.c "${gpl}#include \"pd_maps.h\"\n" 'kmod/a.c:2: includes pd_maps.h'
	fault "bpf/ may not include a header of user/" \
		bpf/a.bpf.c "${gpl}#include \"policy.h\"\n" 'bpf/a.bpf.c:2: includes policy.h'
	fault "a header is not named by .." \
		user/a.c "${gpl}#include \"../bpf/a.h\"\n" 'user/a.c:2: includes ../bpf/a.h'
	fault "a header of include/ without the dual licence is refused" \
		include/a.h "$gpl" 'include/a.h:1: expected .*GPL-2.0-only OR MIT'
	fault "a source without a licence is refused" \
		user/a.c 'int a;\n' 'user/a.c:1: expected .*found none'
	fault "a file of over 600 lines is refused" \
		user/a.c "$gpl$(printf '\\n%.0s' {1..600})" 'user/a.c:601: is over 600 lines'
	fault "a mark of unfinished work is refused" \
		tools/a.txt 'TO''DO: more\n' 'tools/a.txt:1: marks unfinished work'
	fault "a stray file at the top level is refused" \
		notes.txt 'a\n' 'notes.txt:1: is not among the agreed names'
	fault "a script that is not executable is refused" \
		tests/a.sh "$sh" 'tests/a.sh:1: .*not executable'
	fault "white space at the end of a line is refused" \
		user/a.txt 'a \n' 'user/a.txt:1: has white space'
	fault "a last line without its newline is refused" \
		user/a.txt 'a' 'user/a.txt:0: has no newline'
}

test_runner_verdicts
test_runner_limits
test_runner_leftovers
test_runner_cmocka
test_checks
echo "1..$cases"
exit "$failed"
