#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/sockets/sockets.sh [ENGINE [FAMILY [PLACEMENT [PATTERN]]]]
#
# The suite of connected sockets on plain TCP and on each engine, in every family
# and placement, or in those named: "all" is all. PATTERN names cases.
#
#     LIMIT   time limit of a case in ms (default: 4000)
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/../net/lib.bash"

SOCKETS=$(realpath "$BUILD/tests/sockets/sockets")
PATTERN=${4:-*}
LIMIT=${LIMIT:-4000}
engines=(tcp sockmap)
families=(ipv4 ipv6 mapped)
placements=(loopback between)
[ "${1:-all}" = all ] || engines=("$1")
[ "${2:-all}" = all ] || families=("$2")
[ "${3:-all}" = all ] || placements=("$3")

start_host
add_ns client lan 10.1.0.1/24 fd01::1/64
add_ns server lan 10.1.0.2/24 fd01::2/64

# Prints the verdicts of one run as those of this test.
show_cases() {
	local title=$1 line ran=0 planned=0

	while IFS= read -r line; do
		case $line in
		1..*) planned=${line#1..} ;;
		"ok "*)
			ok "$title: ${line#*- }"
			ran=$((ran + 1))
			;;
		"not ok "*)
			not_ok "$title: ${line#*- }"
			ran=$((ran + 1))
			;;
		*) echo "# ${line#\# }" ;;
		esac
	done <"$WORK/run.out"
	note <"$WORK/run.err"
	check "$title: all cases have run" is "$ran" -eq "$planned"
}

# suite ENGINE FAMILY PLACEMENT
suite() {
	local args=(--engine "$1" --family "$2" --limit "$LIMIT" --only "$PATTERN")

	[ "$1" = tcp ] || args+=(--pdload "$PDLOAD")
	if [ "$3" = between ]; then
		args+=(--server-ns /run/netns/server --client-ns /run/netns/client --address)
		case $2 in
		ipv6) args+=(fd01::2) ;;
		*) args+=(10.1.0.2) ;;
		esac
		# Once with every byte redirected: else the first ones go over TCP.
		[[ $1 != cpu && $1 != dma ]] || args+=(--poll-first)
	fi
	spawn run - in "$SOCKETS" "${args[@]}"
	wait "${PID[run]}" || true
	show_cases "$1, $2, $3"
}

dma_copied() {
	awk '$1 == "DmaBytes" { exit $2 == 0 }' /proc/pipedevice_stat
}

for ENGINE in "${engines[@]}"; do
	[ "$ENGINE" = tcp ] || check "pdload up --engine $ENGINE" up --all
	for family in "${families[@]}"; do
		for placement in "${placements[@]}"; do
			suite "$ENGINE" "$family" "$placement"
		done
	done
	[ "$ENGINE" != dma ] || check "dma: channels have copied" dma_copied
	[ "$ENGINE" = tcp ] || check "pdload down" down
done
finish
