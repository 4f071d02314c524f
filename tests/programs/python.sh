#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Python: an asyncio echo server and a client that compares every byte.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

workload() {
	bounded 60 on client /usr/bin/python3 "$HERE/asyncio_echo.py" client "$SERVER" 7000 "$(share 200)" \
		>"$WORK/$1.result.echo"
}

setup_host
setup_pair
start echo server /usr/bin/python3 "$HERE/asyncio_echo.py" server "$SERVER" 7000
wait_for listening 7000
compare_modes "asyncio streams echo every byte"
check_down
finish
