#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# memcached: values of many sizes over several connections.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

workload() {
	bounded 60 on client /usr/bin/python3 "$HERE"/stored_values.py memcached "$SERVER" 11211 "$(share 8)" \
		>"$WORK/$1.result.values"
}

setup_host
setup_pair
start memcached server memcached -u root -l "$SERVER" -m 256 -t 2
wait_for listening 11211
compare_modes "memcached gives back what was stored"
check_down
finish
