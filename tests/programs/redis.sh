#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# redis: stored values, pipelined small requests, large values.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

# How often redis was asked for each command: the same however it was asked.
calls() {
	on client redis-cli -h "$SERVER" info commandstats |
		sed -n 's/^cmdstat_\([gs]et\):calls=\([0-9]*\),.*failed_calls=\([0-9]*\).*/\1 \2 \3/p' | sort
}

workload() {
	local result=$WORK/$1.result

	on client redis-cli -h "$SERVER" flushall
	on client redis-cli -h "$SERVER" config resetstat
	bounded 60 on client /usr/bin/python3 "$HERE"/stored_values.py redis "$SERVER" 6379 "$(share 8)" >"$result.values" &&
		bounded 60 on client redis-benchmark -h "$SERVER" -P 16 -t set,get -n "$(share 200000)" -c 20 --csv &&
		bounded 60 on client redis-benchmark -h "$SERVER" -d 65536 -t set,get -n "$(share 10000)" -c 20 --csv &&
		on client redis-cli -h "$SERVER" dbsize >"$result.size" &&
		calls >"$result.calls" && [ -s "$result.calls" ]
}

setup_host
setup_pair
start redis server redis-server --bind "$SERVER" --protected-mode no --save '' --dir "$WORK"
wait_for listening 6379
compare_modes "redis gives back what was stored, and answers every pipelined and large request"
check_down
finish
