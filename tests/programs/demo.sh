#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The demo ends well, and leaves nothing behind when it is stopped at any stage
# or when a step fails.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

BUILD=$(realpath "${BUILD:-build}")
DEMO_SECONDS=1
export BUILD PDLOAD DEMO_SECONDS

# All that could stay, one a line, of the namespaces that the demo starts in.
inventory() {
	namespaces_run sh -c '
		ip -o link | sed "s/^[0-9]*: \([^:@]*\).*/interface \1/"
		iptables-save | grep -v "^#" | sed "s/\[[0-9:]*\]//"
		find /run/netns /run/containers /run/runc /sys/fs/bpf -mindepth 1
		find /tmp -maxdepth 1 -name "pipedevice-demo-*"
		find /sys/fs/cgroup -type d \( -path "*pipedevice-demo-*" -o -name "libpod*" -o -name "conmon*" \)
		sed "s/^[0-9]* [0-9]* //" /proc/self/mountinfo | cut -d " " -f 3
		ps -e -o args= | grep -v -E "^(ps|sh|sed|sort|grep|bash|sleep) "' | sort
}

# demo STATUS CMD...: the demo, run with $PDLOAD; must end with STATUS
demo() {
	local wanted=$1 status=0
	shift

	inventory >"$WORK/before"
	"$@" >"$WORK/demo.log" 2>&1 || status=$?
	inventory >"$WORK/after"
	cat "$WORK/demo.log"
	diff "$WORK/before" "$WORK/after" && [ "$status" -eq "$wanted" ]
}

run_demo() {
	namespaces_run env -C "$(pwd)" tools/demo/demo.sh
}

# Send SIGNAL to the demo when it has printed TEXT and $3 s more have passed.
stop_demo_after() {
	local signal=$1 text=$2 delay=$3 runner

	: >"$WORK/stopped.log"
	# The shell writes down its number and becomes the demo. What is started in
	# the background ignores INT, unless told otherwise.
	# shellcheck disable=SC2016  # for the inner shell
	namespaces_run env --default-signal=INT -C "$(pwd)" sh -c 'echo $$ >"$0" && exec tools/demo/demo.sh' "$WORK/pid" \
		>"$WORK/stopped.log" 2>&1 &
	runner=$!
	for _ in {1..600}; do
		! grep -q "$text" "$WORK/stopped.log" || break
		sleep 0.05
	done
	sleep "$delay"
	namespaces_run sh -c "kill -$signal $(cat "$WORK/pid")"
	wait "$runner" || {
		local status=$?
		cat "$WORK/stopped.log"
		return "$status"
	}
}

# What runs in the namespaces of this test, but for what lists it.
processes() {
	namespaces_run ps -e -o comm= | grep -v '^ps$' | sort
}

same_processes() {
	processes | diff "$WORK/before" -
}

# Killed, the demo can't clean up; but nothing that it started goes on.
killed_demo_runs_no_more() {
	local status=0 ended=yes tag

	processes >"$WORK/before"
	stop_demo_after KILL iperf3 0.5 || status=$?
	if ! wait_for same_processes; then
		same_processes
		ended=
	fi
	tag=pipedevice-demo-$(cat "$WORK/pid")
	find /sys/fs/cgroup -depth -type d \( -path "*/$tag" -o -path "*/$tag/*" \) -exec rmdir {} +
	rm -rf "/tmp/$tag".*
	[ "$status" -eq 137 ] && [ -n "$ended" ]
}

# Its output goes to a reader that leaves after the first line.
run_demo_unheard() {
	run_demo | head -1
	return "${PIPESTATUS[0]}"
}

# A pdload whose verb $1 fails.
make_failing() {
	cat >"$WORK/pdload" <<-END
		#!/bin/sh
		if [ "\$1" = "$1" ]; then
			echo "pdload: $1 fails here" >&2
			exit 1
		fi
		exec "$PDLOAD" "\$@"
	END
	chmod +x "$WORK/pdload"
}

run_failing_demo() {
	PDLOAD=$WORK/pdload run_demo
}

refuses() {
	namespaces_run "$PDLOAD" up >/dev/null
	demo 1 run_demo && grep -q 'pdload is up on this machine' "$WORK/demo.log" &&
		namespaces_run "$PDLOAD" status >/dev/null && namespaces_run "$PDLOAD" down
}

table_is_whole() {
	grep -E '^  [a-zA-Z].* [0-9.]+ +[0-9.]+ +[0-9.]+$' "$WORK/demo.log" >"$WORK/rows"
	cat "$WORK/rows"
	[ "$(wc -l <"$WORK/rows")" -eq 25 ]
}

setup_host
tools/rootfs.sh >/dev/null
check "the demo ends well and leaves nothing behind" demo 0 run_demo
check "its table has every figure" table_is_whole
check "it shows accelerated connections between its two containers" \
	grep -E 'client.*server.*redirected' "$WORK/demo.log"
check "stopped by TERM while it starts containers, it leaves nothing behind" \
	demo 143 stop_demo_after TERM 'Starting two' 0.2
check "stopped by TERM while it measures plain TCP, it leaves nothing behind" \
	demo 143 stop_demo_after TERM 'iperf3' 0.5
check "stopped by INT during pdload up, it leaves nothing behind" \
	demo 130 stop_demo_after INT 'pdload up' 0
check "stopped by TERM under accelerated load, it leaves nothing behind" \
	demo 143 stop_demo_after TERM 'Accelerated' 1
check "killed while it measures, it leaves no process behind" killed_demo_runs_no_more
check "when nobody reads its output any more, it leaves nothing behind" demo 141 run_demo_unheard
make_failing up
check "when pdload up fails, it leaves nothing behind" demo 1 run_failing_demo
check "it refuses to run while pdload is up, and leaves it up" refuses
finish
