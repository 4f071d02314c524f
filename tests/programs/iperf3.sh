#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# iperf3: either direction, several streams, both directions at once. Its bytes
# are not compared (its own -F loses some on plain TCP), its counts are.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

# iperf NAME OPTION...: a run of 1 s; every stream must have moved bytes, and
# none may have arrived that were not sent.
iperf() {
	local name=$1
	shift

	bounded 20 on client iperf3 -c "$SERVER" -t 1 -J "$@" >"$WORK/iperf.json" || return 1
	jq -r '"\(.end.streams | length) streams, all moved: \(
		[.end.streams[] | .receiver.bytes > 0 and .sender.bytes >= .receiver.bytes] | all)"' \
		"$WORK/iperf.json" | tee "$result.$name"
	grep -q 'all moved: true' "$result.$name" || {
		jq -c '.end.streams[]' "$WORK/iperf.json"
		return 1
	}
}

workload() {
	result=$WORK/$1.result

	iperf forward && iperf reverse -R && iperf four_streams -P 4 &&
		iperf four_streams_reverse -P 4 -R && iperf both_ways --bidir
}

setup_host
setup_pair
start iperf3 server iperf3 -s
wait_for listening 5201
compare_modes "iperf3 moves bytes in every direction"
check_down
finish
