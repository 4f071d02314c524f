#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/vm-arm64/sockets.sh [FAMILY...]
#
# The suite of connected sockets over DMA channels of a real driver: those cases in which much is
# copied, or copying is interrupted; tests/vm-long-arm64 has all. Runs on the machine of
# tools/vm/arm64-test.sh.
#
#     LIMIT     time limit of a case in ms (default: 20000)
#     PATTERN   names cases
set -euo pipefail
# shellcheck source=tests/vm-arm64/lib.bash
. "$(dirname "$0")/lib.bash"

# The verdicts are counted where they are read.
shopt -s lastpipe
LIMIT=${LIMIT:-20000}
PATTERN=${PATTERN:-'*@(mib|release|killed|blocked|page|peek_of_all|readers|mixed|flow|uring|edge|sendfile)*'}
[ $# -gt 0 ] || set -- ipv4

# suite FAMILY: its verdicts are those of this test.
suite() {
	local line ran=0 planned=0

	{
		sockets --engine dma --family "$1" --limit "$LIMIT" --only "$PATTERN" \
			--pdload /usr/bin/pdload ${TIMES:+--times} 2>&1 || true
	} | while IFS= read -r line; do
		case $line in
		1..*) planned=${line#1..} ;;
		"ok "*)
			ok "dma, $1: ${line#*- }"
			ran=$((ran + 1))
			;;
		"not ok "*)
			not_ok "dma, $1: ${line#*- }"
			ran=$((ran + 1))
			;;
		*) echo "# ${line#\# }" ;;
		esac
	done
	check "dma, $1: all cases have run" is "$ran" -eq "$planned"
}

all_copied() {
	moved "$before" 0 1 2 3 4 5 6 7 &&
		of_channels 'all(.state == "active" and .errors == 0 and .timeouts == 0)'
}

nothing_failed() {
	is "$(counter DmaErrors) $(counter DmaTimeouts) $(counter DmaRedone)" = "0 0 0"
}

# A reader offers its memory for some milliseconds while it sleeps: whether a sender comes in time is
# a matter of the scheduler's.
copies_to_waiting_readers() {
	local i

	for i in 1 2 3 4 5 6 7 8 9 10; do
		start rr --size 64K-128K --write 128K --rounds 20 && end || return 1
		is "$(counter DmaDirectBytes)" -eq 0 || return 0
	done
	return 1
}

start_machine measured
before=$(copies)
for family; do
	suite "$family"
done
check "each of the channels has copied, and none failed" all_copied
note <"$WORK/check.log"
for name in DmaBytes DmaDirectBytes DmaDrainedBytes DmaRefused DmaNoChannel; do
	echo "# $name $(counter $name)"
done
check "DMA copies straight to readers that wait, too" copies_to_waiting_readers
note <"$WORK/check.log"
check "the CPU had nothing to do again" nothing_failed
check "pdload down" pdload down
check "the module is not there any more" is ! -e /sys/module/pipedevice
finish
