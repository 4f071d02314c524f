#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What becomes of a program's memory, and of the program, while a DMA channel copies: pages are let go
# when the copy is over and not before, whatever is done to them and to the process. Runs in a virtual
# machine.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/lib.bash"
# shellcheck source=tests/vm/dma.bash
. tests/vm/dma.bash

ENGINE=dma
SOCKETS=$(realpath "$BUILD/tests/sockets/sockets")
# Faults of 48 copies retire them all.
CHANNELS=16
# A copy takes so long at least, and a segment of 128 KiB as long again.
SLOW=(latency_us=20000 ns_per_kib=160)
# One that is seen while it goes on.
VERY_SLOW=(latency_us=2000000)
TIMEOUT_MS=60000
# A copy that is late is done by the CPU, and the channel would write later.
LATE_MS=60
LATE=(late_every=2 late_us=200000 late_poison=1)

# cases NAME|PATTERN...: of the suite of connected sockets, which check every byte
cases() {
	local pattern

	for pattern; do
		spawn run client in "$SOCKETS" --engine dma --family ipv4 --limit "${LIMIT:-20000}" \
			--only "$pattern" --pdload "$PDLOAD"
		ended run || return 1
	done
}

# with KNOB... -- PATTERN...: cases, of which DMA copies a part; then nothing is pinned
with() {
	local set=()

	while [ "$1" != -- ]; do
		set+=("$1")
		shift
	done
	shift
	knobs "${set[@]}"
	remember
	cases "$@" && knobs && have_moved DmaSegments && nothing_is_pinned && honest
}

nothing_is_pinned() {
	wait_for 10 no_more_pins_than "$pinned"
}

# With the time limit that late ones miss.
late() {
	"$PDLOAD" engines --timeout $LATE_MS && with "${LATE[@]}" -- "$@" &&
		have_moved DmaTimeouts && is "$(provided late_terminated_count)" -gt 0 &&
		"$PDLOAD" engines --timeout $TIMEOUT_MS && "$PDLOAD" engines --reset
}

# Anonymous memory is paged out only if there is somewhere to.
swap_on() {
	modprobe zram && echo 256M >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0
}

paged_out() {
	awk '$1 == "pswpout" { print $2 }' /proc/vmstat
}

pages_go_out() {
	local from
	from=$(paged_out)

	with "${SLOW[@]}" -- 'memory_may_be_paged_out_*' && is "$(paged_out)" -gt "$from"
}

# Descriptors that are being copied, or will be.
in_flight() {
	local words n=0

	while read -r -a words; do
		n=$((n + words[5]))
	done <<<"$(<"$PROVIDER/channels")"
	echo $n
}

are_in_flight() {
	is "$(in_flight)" -gt 0
}

# Two descriptors may have to do with the same page.
stay_pinned() {
	local flying seen=0

	while flying=$(in_flight) && [ "$flying" -gt 0 ]; do
		is $(($(pins) - pinned)) -ge $((flying / 2)) || [ "$(in_flight)" -lt "$flying" ] ||
			return 1
		seen=$((seen + 1))
	done
	is $seen -gt 0
}

# killed WHO SURVIVOR: while copies are under way, which end well, and whose pages stay pinned until then
killed() {
	local terminated
	terminated=$(provided terminated_count)

	knobs "${VERY_SLOW[@]}"
	serve server server in 10.1.0.2:0 --tolerate --io block --time-limit 60 || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --tolerate --io block --mix forever \
		--rounds 0 --write 256K-1M --read 256K-1M --time-limit 60 || return 1
	wait_for 20 are_in_flight || return 1
	tell "$1" KILL
	# What is in flight already takes its time.
	knobs
	stay_pinned || return 1
	tell "$2" TERM || true
	ended "$2" && is "$(provided terminated_count)" -eq "$terminated" && nothing_is_pinned
}

# without_dma COUNTERS CASE: whose process may not lock memory, so nothing of its own is copied by DMA
without_dma() {
	knobs
	remember
	# shellcheck disable=SC2086  # names
	cases "$2" && have_not_moved $1 && nothing_is_pinned
}

start_machine
pinned=$(pins)
modprobe pd_test_dma depth=1000 channels=$CHANNELS
check "pdload up --engine dma" up --all
check "from 4 KiB on" "$PDLOAD" engines --threshold 4096
check "and not stopped" "$PDLOAD" engines --timeout $TIMEOUT_MS
check "memory is unmapped, moved, truncated, copied by fork() while it is sent" \
	with "${SLOW[@]}" -- 'memory_may_be_[mu]*_sent' file_may_be_truncated_while_it_is_sent process_may_fork_while_it_sends
check "and while it is filled" \
	with "${SLOW[@]}" -- 'memory_may_be_[mu]*_filled' file_may_be_truncated_while_it_is_filled process_may_fork_while_it_receives
if [ -e /proc/swaps ]; then
	check "there is swap" swap_on
	check "memory is paged out" pages_go_out
else
	skip "memory is paged out" "this kernel is built without swap"
fi
check "memory is its owner's again after send() and recv()" with "${SLOW[@]}" -- 'memory_is_the_*'
check "also if copies are late, and would write poison" late 'memory_is_the_*'
check "processes are killed and exit in the middle of messages" with "${SLOW[@]}" -- '*_in_the_middle_of_a_large_message'
check "what a killed sender has pinned is let go after the copy" killed client server
check "what was sent to a killed reader, too" killed server client
check "a sender that may not lock memory is the CPU's" \
	without_dma DmaBytes memory_that_may_not_be_locked_is_sent
check "a reader that may not lock memory is the CPU's" \
	without_dma "DmaDrainedBytes DmaDirectBytes" memory_that_may_not_be_locked_is_filled
check "pdload down" down
check "nothing is pinned any more" nothing_is_pinned
check "the provider goes" modprobe -r pd_test_dma
finish
