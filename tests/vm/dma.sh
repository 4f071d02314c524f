#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Each fault of a DMA channel, while programs send: every byte is right, nobody notices, the counters
# say it, and a channel that goes wrong again and again is not used any more until it is reset. Runs
# in a virtual machine.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/lib.bash"
# shellcheck source=tests/vm/dma.bash
. tests/vm/dma.bash

ENGINE=dma
DRIVER=/sys/bus/platform/drivers/pd_test_dma
DEVICES=(pd_test_dma.0 pd_test_dma.1)
CHANNELS=4
# As many descriptors as are never wanted at once: those that are refused are so for a fault.
DEPTH=1000
# After so long a copy is done by the CPU; LATE_US is longer, and IN_TIME_US is not.
TIMEOUT_MS=300
LATE_US=900000
RELEASE_US=800000
IN_TIME_US=50000
TRAFFIC_ARGS=(--size 64K-1M --write 32K-1M --read 32K-1M)
HUGE_PAGES=64

# they_are STATES: of all channels, such as "3 active 1 retired"
they_are() {
	local now
	now=$(states)
	echo "channels: $now; expected: $1"
	[ "$now" = "$1" ]
}

by_dma() {
	is "$(moved_by DmaSegments)" -gt "$1" && is "$(moved_by DmaBytes)" -gt 0
}

# As pdload shows it.
shown_as_retired() {
	is "$("$PDLOAD" engines --json | jq '[.channels[] | select(.state == "retired")] | length')" \
		-eq "$1"
}

# Until DMA has made so many copies, or 40, of which none went wrong.
well() {
	remember
	wait_for 20 by_dma "${1:-40}" &&
		have_not_moved DmaErrors DmaTimeouts DmaRedone DmaRefused DmaNoChannel
}

# under IO CMD...: CMD succeeds while programs send and receive, who find every byte right.
under() {
	local io=$1 status=0
	shift

	knobs
	"$PDLOAD" engines --reset && they_are "$CHANNELS active" || return 1
	serve server server in 10.1.0.2:0 --io "$io" "${TRAFFIC_ARGS[@]}" || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --io "$io" "${TRAFFIC_ARGS[@]}" \
		--mix forever,rr --rounds 0 --connections 2 || return 1
	{ well && "$@"; } || status=1
	knobs
	end_traffic && honest && return $status
}

# goes_wrong COUNTER RETIRED KNOB...: until COUNTER has moved and so many channels are retired; then
# they are reset.
goes_wrong() {
	local counter=$1 retired=$2 active=$((CHANNELS - $2)) expected
	shift 2

	expected="$retired retired"
	[ $active -eq 0 ] || expected="$active active $expected"
	remember
	knobs "$@"
	wait_for 30 they_are "$expected" && have_moved "$counter" DmaRedone &&
		shown_as_retired "$retired" || return 1
	[ $active -gt 0 ] || wait_for 20 have_moved DmaNoChannel || return 1
	knobs
	"$PDLOAD" engines --reset && they_are "$CHANNELS active" || return 1
	remember
	wait_for 20 by_dma 20
}

# goes_on COUNT KNOB...: until COUNT of the provider, who counts what has been submitted to it, has
# moved by 20 and more copies have ended, with nothing to be seen of it.
goes_on() {
	local count=$1 from
	shift

	remember
	knobs "$@"
	from=$(provided "$count")
	wait_for 30 provided_more "$count" "$from" 20 && wait_for 20 by_dma 20 &&
		they_are "$CHANNELS active" && have_not_moved DmaErrors DmaTimeouts DmaRedone DmaNoChannel
}

provided_more() {
	is $(($(provided "$1") - $2)) -ge "$3"
}

refuses() {
	goes_on null_count null_every=4 && have_moved DmaRefused
}

# What a late copy would write comes when its memory has been handed on.
poisons_late() {
	goes_wrong DmaTimeouts $CHANNELS late_every=8 late_us=$LATE_US late_poison=1 &&
		is "$(provided late_terminated_count)" -gt 0
}

# The late ones write it while their channel is being released: none of what they write to may have
# been handed on by then.
poisons_while_released() {
	local from

	from=$(provided late_released_count)
	goes_wrong DmaTimeouts 1 fault_channel=1 late_every=8 late_us=$LATE_US late_poison=1 \
		release_us=$RELEASE_US && provided_more late_released_count "$from" 1
}

# They are said to have ended before they are copied: what would be written comes when the memory has been
# handed on.
poisons_after_its_word() {
	local from

	from=$(provided late_terminated_count)
	goes_wrong DmaErrors $CHANNELS early_every=8 late_us=$IN_TIME_US late_poison=1 &&
		provided_more late_terminated_count "$from" 1
}

# It says that all is well.
lies() {
	remember
	knobs late_every=8 late_us=$IN_TIME_US late_poison=1
	wait_for 30 have_moved DmaErrors DmaRedone && is "$(provided late_poison_count)" -gt 0 &&
		they_are "$CHANNELS active"
}

# What is in flight waits, and none of it is handed on, until the channel can be stopped after all.
cannot_be_stopped_yet() {
	local from

	remember
	knobs unwilling=1 lose_every=8
	from=$(provided unwilling_count)
	wait_for 30 provided_more unwilling_count "$from" 3 && have_not_moved DmaRedone || return 1
	knobs
	wait_for 20 have_moved DmaTimeouts DmaRedone
}

uses_huge_pages() {
	local free
	free=$(awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo)
	# A buffer for each thread of each end.
	is "$free" -le $((HUGE_PAGES - 8)) && well 100
}

in_huge_pages() {
	echo $HUGE_PAGES >/proc/sys/vm/nr_hugepages
	GLIBC_TUNABLES=glibc.malloc.hugetlb=2:glibc.malloc.mmap_threshold=131072 under "$@" || return 1
	echo 0 >/proc/sys/vm/nr_hugepages
}

unbind() {
	echo "$1" >$DRIVER/unbind
}

bind() {
	echo "$1" >$DRIVER/bind
}

# there_are COUNT: channels, in whatever state
there_are() {
	local channels
	channels=$(grep -c "^channel " /proc/pipedevice_engines) || true
	is "$channels" -eq "$1"
}

# goes DEVICE LEFT COUNT KNOB...: while COUNT of the provider says that it has copies of that kind. Only
# then: channels on which many are lost would be retired, and the other device has some, too.
goes() {
	local device=$1 left=$2 count=$3 from
	shift 3

	remember
	wait_for 20 by_dma 10 || return 1
	from=$(provided "$count")
	knobs "$@"
	wait_for 20 provided_more "$count" "$from" 1 && unbind "$device" && there_are "$left" || return 1
	knobs
}

# removed COUNT KNOB...: one of the devices, then the other, while copies are being made; then they come back.
removed() {
	goes "${DEVICES[0]}" 2 "$@" && "$PDLOAD" engines --reset && goes "${DEVICES[1]}" 0 "$@" || return 1
	remember
	wait_for 20 have_moved DmaNoChannel CpuBytes && have_not_moved DmaBytes || return 1
	bind "${DEVICES[0]}"
	bind "${DEVICES[1]}"
	"$PDLOAD" engines --reset
	they_are "$CHANNELS active" && well
}

not() {
	! "$@"
}

has_gone() {
	test ! -e "/sys/module/$1"
}

down_under_load() {
	knobs latency_us=20000
	remember
	wait_for 20 by_dma 10 && not rmmod pipedevice && down && has_gone pipedevice
}

# Memory that they may still write to could not be handed on.
unstoppable_are_refused() {
	local said status=0

	modprobe pd_test_dma no_terminate=1
	said=$("$PDLOAD" up --all --engine dma 2>&1) || status=$?
	modprobe -r pd_test_dma
	echo "$said"
	is $status -eq 5 && [[ $said == *"its driver cannot stop a copy that does not end"* ]]
}

up_where_release_stops() {
	echo "options pipedevice dma_stopped_by_release=pd_test_dma" >/etc/modprobe.d/pipedevice.conf
	provide no_terminate=1 && up --all && they_are "$CHANNELS active" &&
		"$PDLOAD" engines --timeout $TIMEOUT_MS
}

provide() {
	modprobe pd_test_dma depth=$DEPTH channels=$CHANNELS devices=${#DEVICES[@]} "$@"
}

up_with_words_of() {
	provide copy_align="$1" && up --all && "$PDLOAD" engines --threshold 4096
}

# Of buffers that begin within a word, as those of malloc() do, but for the bytes at either end: a copy of
# which the second stretch began within one would go no further than the first.
copies_more_than_one_stretch() {
	local from

	remember
	from=$(provided submitted_count)
	wait_for 20 have_more_descriptors "$from" && by_dma 100
}

have_more_descriptors() {
	is $(($(provided submitted_count) - $1)) -gt $(($(moved_by DmaSegments) + 100))
}

start_machine
# What is unread when programs are told to end takes them long to check.
for ns in client server; do
	in_ns $ns sysctl -qw net.ipv4.tcp_rmem="4096 131072 1048576" net.ipv4.tcp_wmem="4096 16384 1048576"
done
pinned=$(pins)
check "channels whose driver can't stop a copy are refused" unstoppable_are_refused
provide
check "pdload up --engine dma" up --all
check "all channels are there" they_are "$CHANNELS active"
check "the provider stays as long as it is used" not modprobe -r pd_test_dma
check "from 4 KiB on" "$PDLOAD" engines --threshold 4096
check "and not for long" "$PDLOAD" engines --timeout $TIMEOUT_MS
for io in block edge; do
	check "copies by DMA, $io" under $io well 100
done
check "copies by DMA from and to huge pages" in_huge_pages block uses_huge_pages
check "some fail" under block goes_wrong DmaErrors $CHANNELS error_every=8
check "all fail on one channel" under edge goes_wrong DmaErrors 1 \
	fault_channel=1 error_every=1
check "some are lost" under edge goes_wrong DmaTimeouts $CHANNELS lose_every=8
check "one channel is stuck" under block goes_wrong DmaTimeouts 1 stuck_channel=2
check "some are lost, and channels can't be stopped for seconds" under block cannot_be_stopped_yet
check "some are late" under block goes_on late_count late_every=8 late_us=$IN_TIME_US
for io in block edge; do
	check "some are too late, and would write poison, $io" under $io poisons_late
done
check "some are poison and say that they are well" under block lies
check "some are said to have ended before they have" under block poisons_after_its_word
check "channels end in another order" under block goes_on latency_odd_count latency_odd_us=30000
check "descriptors are refused" under edge refuses
check "devices go while they copy, and come back" under block removed submitted_count latency_us=20000
check "and go with copies that are lost" under edge removed lose_count lose_every=50
check "and go silently" under block removed submitted_count latency_us=20000 silent_removal=1
check "pdload down while copies are made" under block down_under_load
check "nothing is pinned any more" wait_for 5 no_more_pins_than "$pinned"
check "the provider goes" modprobe -r pd_test_dma
check "pdload up with channels that copy words of 64 bytes" up_with_words_of 64
TRAFFIC_ARGS=(--size 1M --write 128K --read 128K)
check "they copy what is contiguous, but not in whole words" in_huge_pages block copies_more_than_one_stretch
check "pdload down with them" down
check "they go" modprobe -r pd_test_dma
TRAFFIC_ARGS=(--size 64K-1M --write 32K-1M --read 32K-1M)
# shellcheck disable=SC2034  # for honest
STOPPED_BY_RELEASE=yes
check "pdload up with a driver that stops a copy when its channel is released" up_where_release_stops
check "some fail there" under edge goes_wrong DmaErrors $CHANNELS error_every=8
check "some are too late there, and would write poison" under block poisons_late
check "some would write it while their channel is released" under block poisons_while_released
check "some are said to have ended there before they have" under edge poisons_after_its_word
check "devices go there with copies that are lost" under edge removed lose_count lose_every=50
check "pdload down there while copies are made" under block down_under_load
check "nothing is pinned there any more" wait_for 5 no_more_pins_than "$pinned"
check "that provider goes" modprobe -r pd_test_dma
finish
