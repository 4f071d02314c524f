# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The provider of DMA channels of tests/kmod, for the tests that use it.
#
#     knobs NAME=VALUE...   its faults, in this order: all others are as in the beginning
#     provided NAME         one of its counts
#     honest                neither it nor its client did what they may not
#     remember              what the module's counters say now
#     moved_by NAME         one of them since then; have_moved, have_not_moved NAME...
#     states                of its channels, such as "3 active 1 retired"
#     pins                  pages that somebody has pinned now

PROVIDER=/sys/kernel/debug/pd_test_dma

knobs() {
	local name

	for name in latency_us latency_odd_us ns_per_kib error_every lose_every late_every late_us \
		late_poison early_every null_every silent_removal unwilling release_us; do
		echo 0 >"$PROVIDER/$name"
	done
	echo -1 >"$PROVIDER/fault_channel"
	echo -1 >"$PROVIDER/stuck_channel"
	for name; do
		echo "${name#*=}" >"$PROVIDER/${name%=*}"
	done
}

provided() {
	local count

	read -r count <"$PROVIDER/$1"
	echo "$count"
}

# With STOPPED_BY_RELEASE a channel that is given back may be busy.
honest() {
	local name names=(late_writes_after_terminate violations unsubmitted_count)

	[ -n "${STOPPED_BY_RELEASE:-}" ] || names+=(freed_busy_count)
	for name in "${names[@]}"; do
		[ "$(provided "$name")" -eq 0 ] || {
			echo "$name: $(provided "$name")"
			return 1
		}
	done
}

# ---- what the kernel says, asked often: without a program, and all of a file at once ----

declare -A remembered

read_counters() {
	local -n counters_of=$1
	local name value

	while read -r name value; do
		# shellcheck disable=SC2034  # the caller's
		counters_of["$name"]=$value
	done <<<"$(</proc/pipedevice_stat)"
}

remember() {
	read_counters remembered
}

moved_by() {
	local -A now

	read_counters now
	echo $((now[$1] - remembered[$1]))
}

have_moved() {
	local name

	for name; do
		is "$(moved_by "$name")" -gt 0 || return 1
	done
}

have_not_moved() {
	local name

	for name; do
		is "$(moved_by "$name")" -eq 0 || return 1
	done
}

states() {
	local words state text=
	local -A number=()

	while read -r -a words; do
		state=${words[5]:-}
		[ "${words[0]}" != channel ] || number["$state"]=$((${number["$state"]:-0} + 1))
	done <<<"$(</proc/pipedevice_engines)"
	for state in active going retired stopping; do
		[ -z "${number[$state]:-}" ] || text+="${number[$state]} $state "
	done
	echo "${text% }"
}

pins() {
	local name value n=0

	while read -r name value; do
		case $name in
		nr_foll_pin_acquired) n=$((n + value)) ;;
		nr_foll_pin_released) n=$((n - value)) ;;
		esac
	done <<<"$(</proc/vmstat)"
	echo $n
}

no_more_pins_than() {
	is "$(pins)" -eq "$1"
}
