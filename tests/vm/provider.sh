#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The provider of DMA channels of tests/kmod does what it is told to, each fault and no other:
# seen by its own client and, where the kernel has it, by dmatest. Runs in a virtual machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/tap.bash
. tests/tap.bash
# shellcheck source=tests/vm/dma.bash
. tests/vm/dma.bash

CLIENT=/sys/kernel/debug/pd_test_client
DRIVER=/sys/bus/platform/drivers/pd_test_dma
COPIES=128
# In which everything ends that is to end, on a slow machine.
LONG_MS=60000
# After this nobody waits for those that are lost.
LOST_MS=2000
LATE_US=1500000

if [ "$(hostname)" != pipedevice-vm ]; then
	echo "Bail out! loads modules: only for a machine of tools/vm/run.sh"
	exit 1
fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# run COUNT BYTES TIMEOUT_MS QUIET_MS: COUNT copies, round all channels, all issued at once
run() {
	local file name

	declare -gA before=()
	for file in "$PROVIDER"/*_count; do
		name=${file##*/}
		read -r "before[${name%_count}]" <"$file"
	done
	echo "$*" >$CLIENT/run
}

# read_seen NAME: what the client saw, into that array
read_seen() {
	local -n seen_by=$1
	local words i

	while read -r -a words; do
		[ "${words[0]}" != channels ] || continue
		for ((i = 0; i < ${#words[@]}; i += 2)); do
			# shellcheck disable=SC2034  # the caller's
			seen_by["${words[i]}"]=${words[i + 1]}
		done
	done <<<"$(<$CLIENT/seen)"
}

# saw NAME=NUMBER...: this many, and none of the others
saw() {
	local name wrong=0
	local -A expected=() seen=()

	for name; do
		expected[${name%=*}]=${name#*=}
	done
	read_seen seen
	for name in "${!seen[@]}"; do
		if [ "${seen[$name]}" -ne "${expected[$name]:-0}" ]; then
			echo "$name: ${seen[$name]}, not ${expected[$name]:-0}"
			wrong=1
		fi
	done
	return $wrong
}

number_of() {
	local -A seen=()

	read_seen seen
	echo "${seen[$1]}"
}

# counted NAME=NUMBER...: by so much the provider's counts moved since run
counted() {
	local name moved wrong=0

	for name; do
		read -r moved <"$PROVIDER/${name%=*}_count"
		moved=$((moved - before[${name%=*}]))
		if [ "$moved" -ne "${name#*=}" ]; then
			echo "${name%=*}: moved by $moved, not ${name#*=}"
			wrong=1
		fi
	done
	return $wrong
}

load() {
	modprobe pd_test_dma "$@" && modprobe pd_test_client
}

unload() {
	rmmod pd_test_client && honest && rmmod pd_test_dma && [ ! -e $PROVIDER ] &&
		! compgen -G '/sys/bus/platform/devices/pd_test_dma.*'
}

is_refused() {
	! modprobe pd_test_dma "$@" 2>/dev/null && [ ! -e /sys/module/pd_test_dma ]
}

channels_there() {
	local chan count=0

	for chan in /sys/class/dma/*; do
		[[ $(readlink -f "$chan/device") == */pd_test_dma.* ]] && count=$((count + 1))
	done
	[ $count -eq "$1" ] || {
		echo "$count channels, not $1"
		return 1
	}
}

all_are_copied() {
	knobs && run $COPIES 16384 $LONG_MS 0 && saw ok=$COPIES &&
		counted submitted=$COPIES completed=$COPIES bytes=$((COPIES * 16384)) doorbell=4
}

full_is_refused() {
	knobs latency_us=10000 && run $((COPIES + 12)) 4096 $LONG_MS 0 &&
		saw ok=$COPIES refused=12 && counted full=12
}

# takes_ms AT_LEAST KNOB...
takes_ms() {
	local least=$1 began
	shift

	knobs "$@"
	began=${EPOCHREALTIME/./}
	run $COPIES 16384 $LONG_MS 0
	[ $(((${EPOCHREALTIME/./} - began) / 1000)) -ge "$least" ] && saw ok=$COPIES
}

odd_ones_are_slow() {
	takes_ms 400 latency_odd_us=400000 && counted latency_odd=$((COPIES / 2))
}

errors() {
	knobs error_every=8 && run $COPIES 4096 $LONG_MS 0 &&
		saw error=$((COPIES / 8)) ok=$((COPIES * 7 / 8)) && counted error=$((COPIES / 8))
}

losses() {
	knobs lose_every=8 && run $COPIES 4096 $LOST_MS 100 &&
		saw lost=$((COPIES / 8)) ok=$((COPIES * 7 / 8)) &&
		counted lose=$((COPIES / 8)) terminated=$((COPIES / 8))
}

late_and_awaited() {
	knobs late_every=4 late_us=100000 && run $COPIES 4096 $LONG_MS 0 &&
		saw ok=$COPIES && counted late=$((COPIES / 4))
}

poisoned() {
	knobs late_every=4 late_us=100000 late_poison=1 && run $COPIES 4096 $LONG_MS 0 &&
		saw wrong=$((COPIES / 4)) ok=$((COPIES * 3 / 4)) &&
		counted late_poison=$((COPIES / 4))
}

# The memory belongs to others when the poison would be written.
late_and_terminated() {
	knobs late_every=1 late_us=$LATE_US late_poison=1 &&
		run 32 4096 100 $((LATE_US / 1000)) && saw lost=32 &&
		counted late_terminated=32 late_poison=0
}

# They are said to be well before anything is written, and nothing is written once they are terminated.
early() {
	knobs early_every=1 late_us=$LATE_US late_poison=1 &&
		run 32 4096 $LONG_MS $((LATE_US / 1000)) && saw wrong=32 &&
		counted early=32 completed=32 late_terminated=32 late_poison=0
}

nulls() {
	knobs null_every=4 && run $COPIES 4096 $LONG_MS 0 &&
		saw refused=$((COPIES / 4)) ok=$((COPIES * 3 / 4)) && counted null=$((COPIES / 4))
}

only_one_channel() {
	knobs error_every=1 fault_channel=1 && run $COPIES 4096 $LONG_MS 0 &&
		saw error=$((COPIES / 4)) ok=$((COPIES * 3 / 4))
}

stuck() {
	knobs stuck_channel=2 && run $COPIES 4096 $LOST_MS 0 &&
		saw lost=$((COPIES / 4)) ok=$((COPIES * 3 / 4)) && counted stuck=$((COPIES / 4))
}

# Some are queued, some are being copied. Status was asked for a moment before.
terminated_at_any_point() {
	local ms terminated=0

	knobs ns_per_kib=80000
	for ms in 0 20 40; do
		run 16 262144 $ms 100 || return 1
		saw ok="$(number_of ok)" lost=$((16 - $(number_of ok))) \
			status="$(number_of status)" || return 1
		echo "# after $ms ms $(number_of lost) were terminated" >&3
		terminated=$((terminated + $(number_of lost)))
	done
	[ $terminated -gt 0 ]
}

# has_moved COUNT FROM BY: by the run that is under way
has_moved() {
	local i

	for ((i = 0; i < 600; i++)); do
		[ $(($(provided "$1_count") - $2)) -lt "$3" ] || return 0
		sleep 0.1
	done
	return 1
}

# removed_while_busy TIMEOUT_MS KNOB...
removed_while_busy() {
	local timeout=$1 submitted pid
	shift

	knobs "$@"
	submitted=$(provided submitted_count)
	run $COPIES 16384 "$timeout" 100 &
	pid=$!
	has_moved submitted "$submitted" $COPIES || return 1
	echo pd_test_dma.0 >$DRIVER/unbind
	wait $pid && channels_there 0
}

removed_loudly() {
	removed_while_busy $LONG_MS latency_us=30000000 && saw aborted=$COPIES
}

removed_silently() {
	removed_while_busy $LOST_MS latency_us=30000000 silent_removal=1 &&
		saw lost=$COPIES status=$COPIES
}

# Those of a device that has gone; the client has them still.
removed_is_refused() {
	knobs && run 8 4096 1000 0 && saw refused=8
}

comes_back() {
	echo pd_test_dma.0 >$DRIVER/bind
	channels_there 4 && rmmod pd_test_client && modprobe pd_test_client && all_are_copied
}

# Some have ended by then.
removed_while_copying() {
	local completed pid ok

	knobs ns_per_kib=1000000
	completed=$(provided completed_count)
	run 16 262144 $LONG_MS 100 &
	pid=$!
	has_moved completed "$completed" 4 || return 1
	echo pd_test_dma.0 >$DRIVER/unbind
	wait $pid || return 1
	ok=$(number_of ok)
	echo "# $ok had ended" >&3
	[ "$ok" -gt 0 ] && saw ok="$ok" aborted=$((16 - ok)) && [ "$(number_of aborted)" -gt 0 ] &&
		channels_there 0
}

not_unloaded_while_used() {
	! rmmod pd_test_dma 2>/dev/null && [ -e $PROVIDER ]
}

small_and_many() {
	load channels=3 devices=3 depth=4 max_seg=65536 copy_align=64 && channels_there 3 &&
		[ "$(head -n 1 $CLIENT/seen)" = "channels 3 max_seg 65536 copy_align 64" ] &&
		[ "$(find -L $DRIVER -maxdepth 1 -name 'pd_test_dma.*' | wc -l)" -eq 3 ] &&
		run 15 4096 $LONG_MS 0 && saw ok=12 refused=3 && unload
}

# What it is told to do too late it does, as nothing can stop it, and the client awaits it.
not_terminated() {
	load no_terminate=1 && knobs late_every=1 late_us=1000000 late_poison=1 &&
		run 16 4096 100 100 && saw wrong=16 status=16 && counted late_poison=16 && unload
}

# As it is given run=1, it takes the parameters that it has been given by then.
# dmatest_run ARG...: what it says is in $WORK/dmatest
dmatest_run() {
	local mark status=0

	mark="dmatest $RANDOM begins"
	echo "$mark" >/dev/kmsg
	modprobe dmatest device=pd_test_dma.0 "$@" run=1
	cat /sys/module/dmatest/parameters/wait >/dev/null
	rmmod dmatest || status=1
	dmesg | sed -n "/$mark/,\$p" | grep -E 'dmatest|summary' | tail -n 40 >"$WORK/dmatest"
	cat "$WORK/dmatest"
	return $status
}

# summaries THREADS TESTS FAILURES
summaries() {
	[ "$(grep -cE "summary $2 tests, $3 failures" "$WORK/dmatest")" -eq "$1" ]
}

dmatest_is_content() {
	modprobe pd_test_dma "$1" && knobs latency_us=100 ns_per_kib=1000 &&
		dmatest_run iterations=40 timeout=30000 threads_per_chan=2 &&
		summaries 8 40 0 && dmatest_run iterations=40 timeout=30000 polled=1 &&
		summaries 4 40 0 && honest && rmmod pd_test_dma
}

# One thread for each channel: each one's tenth fails.
dmatest_sees_errors() {
	modprobe pd_test_dma channels=1 && knobs error_every=10 &&
		dmatest_run iterations=40 timeout=30000 && summaries 1 40 4 &&
		[ "$(grep -c 'completion error status' "$WORK/dmatest")" -eq 4 ] &&
		honest && rmmod pd_test_dma
}

watch_kernel provider
check "it refuses no channels, and an alignment of 3" eval "is_refused channels=0 && is_refused copy_align=3"
check "it is loaded, and all its channels are taken" load
check "four channels are there" channels_there 4
check "it is not unloaded as long as somebody has a channel" not_unloaded_while_used
check "$COPIES copies are right, one doorbell for each channel" all_are_copied
check "what finds no descriptor is refused" full_is_refused
check "latency" takes_ms 400 latency_us=400000
check "bandwidth" takes_ms 600 ns_per_kib=1200000
check "the odd channels are slow, and each keeps its order" odd_ones_are_slow
check "each eighth fails, with garbage in half of its destination" errors
check "each eighth is lost, and has not ended for who asks" losses
check "those that are late are right" late_and_awaited
check "those that are late are poisoned" poisoned
check "those that are late and terminated write nothing any more" late_and_terminated
check "nor do those that had ended before they were copied" early
check "each fourth is refused" nulls
check "only one channel fails" only_one_channel
check "a channel is stuck" stuck
check "it is stuck no more" all_are_copied
check "nothing is written after a termination, whenever it comes" terminated_at_any_point 3>&1
check "the device is removed: what is in flight is aborted" removed_loudly
check "a device that has gone refuses" removed_is_refused
check "it comes back, and is taken anew" comes_back
check "it is removed while it copies" removed_while_copying 3>&1
check "it comes back, and is taken anew" comes_back
check "it is removed, and nobody is told" removed_silently
check "it is unloaded with nothing to be said against it" unload
check "three devices of one channel each, with limits" small_and_many
check "what cannot be terminated ends late" not_terminated
if modinfo dmatest >/dev/null 2>&1; then
	check "dmatest finds no fault with one device" dmatest_is_content devices=1
	check "dmatest sees each tenth copy fail" dmatest_sees_errors
else
	skip "dmatest finds no fault" "this kernel is built without dmatest"
fi
finish
