#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What an idle connection costs beyond plain TCP, with very many of them at once, and
# that nothing is left of them. Runs in a virtual machine. The debug kernel, which is slow, has
# fewer unless it is told, does not compare, and looks for leaks when this has ended.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/../vm/lib.bash"

if [[ $(uname -r) == *-debug* ]]; then
	CONNECTIONS=${CONNECTIONS:-1000}
fi
CONNECTIONS=${CONNECTIONS:-10000}
# Beyond plain TCP, for both ends.
MAX_EACH=4096

# Bytes in slabs. What waits for a grace period or is kept for use again is not counted.
slab_bytes() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "Slab:" { print $2 * 1024 }' /proc/meminfo
}

# hold NAME: that many connections that have talked and wait; what a connection costs to $WORK/NAME.
hold() {
	local before

	before=$(slab_bytes)
	serve server server in 10.1.0.2:0 --io edge --time-limit 500 --stall-limit 60 || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --mix rr --rounds 2 --hold --io edge \
		--connections "$CONNECTIONS" --size 1-2K --time-limit 500 --stall-limit 60 &&
		event client ready 300 || return 1
	# Some have sent by way of the pool, which is given back once they are idle.
	[ "$1" = plain ] || wait_for 10 is_zero CurrPoolBytes || return 1
	echo $((($(slab_bytes) - before) / CONNECTIONS)) >"$WORK/$1"
}

release() {
	tell client TERM
	ended client || return 1
	tell server TERM
	ended server
}

all_are_attached() {
	is "$(counter CurrConns)" -eq $((2 * CONNECTIONS)) && is "$(counter AttachRefused)" -eq 0
}

cost_is_bounded() {
	local plain attached

	plain=$(cat "$WORK/plain") attached=$(cat "$WORK/attached")
	echo "# an idle connection, both ends: $plain bytes of slab on plain TCP," \
		"$((attached - plain)) more when attached, no pool" >&3
	is $((attached - plain)) -le $MAX_EACH
}

# A process may have 4,096 files unless it is told otherwise.
ulimit -n 65536
start_machine
if [[ $(uname -r) != *-debug* ]]; then
	check "plain: $CONNECTIONS connections at once" hold plain
	check "plain: they end well" release
fi
check "pdload up" up --all
check "$CONNECTIONS connections at once" hold attached
check "both ends of all are attached" all_are_attached
if [[ $(uname -r) == *-debug* ]]; then
	skip "each costs at most $MAX_EACH bytes more than on plain TCP" \
		"the debug kernel keeps red zones and traces with each object"
else
	check "each costs at most $MAX_EACH bytes more than on plain TCP" cost_is_bounded 3>&1
fi
check "they end well" release
check "nothing is attached any more, and no memory held" nothing_is_attached
check "pdload down" down
check "the module has gone" wait_for 5 test ! -e /sys/module/pipedevice
finish
