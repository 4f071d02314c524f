#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Allocations of memory fail: each one of a call in its turn, and those of the module at
# random. The call does what it does otherwise, or fails as on TCP; what cannot be had for
# the module is done by TCP; no byte is wrong. Runs in a virtual machine, with a kernel that
# can have allocations fail.
set -euo pipefail
if [ ! -e /proc/self/fail-nth ]; then
	echo "1..0 # SKIP this kernel has no CONFIG_FAULT_INJECTION: the debug kernel has"
	exit 0
fi
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/../vm/lib.bash"

CLEAN=duplex,upload,download,rr,halfclose,wclose,sclose
INJECTORS=(/sys/kernel/debug/failslab /sys/kernel/debug/fail_page_alloc)

# set_each ATTRIBUTE VALUE: of every injector that has it.
set_each() {
	local dir

	for dir in "${INJECTORS[@]}"; do
		[ ! -e "$dir/$1" ] || echo "$2" >"$dir/$1"
	done
}

# Every allocation may fail, quietly: a backtrace of each would bury the kernel's log.
open_filters() {
	set_each ignore-gfp-wait N
	set_each ignore-gfp-highmem N
	set_each min-order 0
	set_each verbose 0
	set_each probability 0
	set_each times -1
}

# sweep CALL...: these allocate, or nothing was injected.
sweep() {
	local calls

	calls=$(jq -nc '$ARGS.positional' --args "$@")
	spawn sweep client in "$FAULTS/fail_nth"
	ended sweep || return 1
	jq -r '"# \(.call): \(.allocations) allocations, \(.failed) failed the call"' \
		"$WORK/sweep.out" >&3
	jq -es --argjson calls "$calls" 'length == 10 and
		$calls - map(select(.allocations > 0).call) == []' "$WORK/sweep.out"
}

# First and last address of a function of the module.
range_of() {
	awk '$4 == "[pipedevice]" && tolower($2) == "t" { print $1, $3 }' \
		/proc/kallsyms | sort -u |
		awk -v name="$1" 'first != "" && $1 != first { print first, $1; exit } $2 == name { first = $1 }'
}

# fail_in FUNCTION PERCENT: of the allocations that it makes, or what it calls, in any context.
fail_in() {
	local range

	range=$(range_of "$1")
	is "$(wc -w <<<"$range")" -eq 2 || return 1
	set_each require-start "0x${range% *}"
	set_each require-end "0x${range#* }"
	set_each probability "$2"
}

fail_nowhere() {
	set_each probability 0
	set_each require-start 0
	set_each require-end 0xffffffffffffffff
}

some_traffic() {
	exchange client in server in 10.1.0.2:0 10.1.0.2:PORT --io edge --read 1-64K -- --io edge \
		--mix "$CLEAN" --connections 8 --total 60 --size 1-200K --write 1-64K --read 1-64K
}

# traffic_with COUNTER FUNCTION PERCENT: the counter tells how often it was without.
traffic_with() {
	local before status=0

	before=$(counter "$1")
	redirected=$(counter CpuBytes)
	fail_in "$2" "$3" || return 1
	some_traffic || status=1
	fail_nowhere
	redirected=$(($(counter CpuBytes) - redirected))
	echo "# $2 fails in $3 % of the cases: $1 $(($(counter "$1") - before))," \
		"$redirected bytes redirected" >&3
	is "$(counter "$1")" -gt "$before" && return $status
}

start_machine
open_filters
check "plain: each allocation of a call fails in its turn" sweep "connect and accept" send 3>&1
check "pdload up" up --all
check "each allocation of a call fails in its turn" sweep "connect and accept" send splice 3>&1
check "nothing is attached any more, and no memory held" nothing_is_attached

check "no socket can be attached: all goes over TCP" traffic_with AttachRefused pd_conn_alloc 100 3>&1
check "nothing was redirected" is "$redirected" -eq 0
check "a third of the sockets can't be attached" traffic_with AttachRefused pd_conn_alloc 33 3>&1
check "there is no memory for a pool: all goes over TCP" traffic_with TcpNoMemory pd_pool_get 100 3>&1
check "nothing was redirected" is "$redirected" -eq 0
check "a pool gets no memory: all goes over TCP" traffic_with TcpNoMemory pd_pool_take 100 3>&1
check "nothing was redirected" is "$redirected" -eq 0
check "a pool gets memory now and then" traffic_with TcpNoMemory pd_pool_take 50 3>&1
check "after that all is redirected as ever" some_traffic
check "nothing is attached any more, and no memory held" nothing_is_attached
check "pdload down" down
check "the module has gone" wait_for 5 test ! -e /sys/module/pipedevice
finish
