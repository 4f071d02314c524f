#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Counts the instructions of each engine (tools/bench/insn) and compares the ratios to TCP
# with the committed ones: none may be more than MARGIN percent worse. Nor may auto be, than the
# better of cpu and dma, from which it chooses. The margin is for what another image of the machine
# moves; smaller differences say nothing. Of a stream the ends fall in step in another way, which
# moves one connection by 30 percent, and where pages of a buffer happen to be adjacent DMA has less
# to do. Nine images were within 3.5 percent of the means but for streams of 1 KiB (5.7), those of
# 16 KiB and 1 MiB over the sockmap (4.0), those of dma and auto (5.3) and requests of 64 KiB by DMA
# (3.4): these have WIDE_MARGIN.
#
# A change that is meant to cost more, or that saves enough for the gate to be drawn
# tighter, commits its own: the means of several images.
#     for i in 1 2 3 4; do
#         IMAGE=$i tools/bench/insn/insn.sh && cp build/bench/insn.json build/bench/insn-$i.json
#     done
#     jq -s -f tools/bench/insn/ratios.jq build/bench/insn-[1-4].json > tools/bench/insn/ratios.json
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/tap.bash
. tests/tap.bash

MARGIN=5
WIDE_MARGIN=10
WORK=$(mktemp -d)
BUILD=${BUILD:-build}
COMMITTED=tools/bench/insn/ratios.json
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Writes one line for each row of either: NAME COMMITTED COUNTED PERCENT VERDICT
compare() {
	jq -s -f tools/bench/insn/ratios.jq "$BUILD/bench/insn.json" >"$WORK/ratios.json"
	jq -r -n --argjson most $MARGIN --argjson wide $WIDE_MARGIN \
		--slurpfile was $COMMITTED --slurpfile is "$WORK/ratios.json" '
		$was[0] as $was | $is[0] as $is | ($was + $is | keys_unsorted)[]
		| (if test(" stream 1024 |sockmap stream (16384|1048576) |^(dma|auto) stream |^dma rr 65536 ") then $wide else $most end) as $margin
		| ($is[.] != null and $was[.] != null) as $both
		| (if $both then ($is[.] / $was[.] - 1) * 1000 | round / 10 else null end) as $percent
		| [., $was[.] // "none", $is[.] // "none", $percent // "none",
			(if $both | not then "missing" elif $percent > $margin then "worse"
			elif $percent < -$margin then "better" else "same" end)] | @tsv' >"$WORK/compared"
}

# Writes such a line for each row of auto; COMMITTED is the better of cpu and dma.
compare_auto() {
	jq -r --argjson most $MARGIN --argjson wide $WIDE_MARGIN '. as $is
		| keys_unsorted[] | select(startswith("auto ")) | ltrimstr("auto ") as $row
		| (if test("stream ") then $wide else $most end) as $margin
		| [$is["cpu \($row)"], $is["dma \($row)"] | values] | min as $best
		| (($is["auto \($row)"] / $best - 1) * 1000 | round / 10) as $percent
		| ["auto \($row)", $best, $is["auto \($row)"], $percent,
			(if $percent > $margin then "worse" else "same" end)] | @tsv' "$WORK/ratios.json" >"$WORK/compared"
}

verdicts() {
	local what=$1 name was is percent verdict

	while IFS=$'\t' read -r name was is percent verdict; do
		case $verdict in
		worse | missing)
			not_ok "$name: $is of TCP's instructions, $what $was ($percent %)"
			;;
		better)
			ok "$name: $is of TCP's instructions, $what $was"
			echo "# $percent %: commit the new ratios to keep this"
			;;
		*) ok "$name: $is of TCP's instructions, $what $was" ;;
		esac
	done
}

watch_kernel "insn-$$"
rm -f "$BUILD/bench/insn.json"
: >"$WORK/compared"
check "instructions are counted, and every engine carried its payload" tools/bench/insn/insn.sh
# Without figures there is nothing to compare.
[ "$failures" -eq 0 ] || { finish || exit 1; }
check "the committed ratios can be compared with these" compare
verdicts committed <"$WORK/compared"
check "auto can be compared with cpu and dma" compare_auto
verdicts "the better of cpu and dma" <"$WORK/compared"
finish
