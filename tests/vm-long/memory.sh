#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Readers that do not read, in a control group that has less memory than is sent to
# them: what they hold is theirs and bounded, nobody is killed for it, and every byte
# is right when they read. Runs in a virtual machine.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/../vm/lib.bash"

# What may be unread of one connection is about 4 MiB: far more than there is.
CONNECTIONS=${CONNECTIONS:-40}
READER_MAX=$((48 << 20))
WRITER_MAX=$((256 << 20))
# What flows through the limited group once its reader reads.
FLOW=$((64 << 20))

# of GROUP FILE: what the control group says.
of() {
	cat "$GROUPS_DIR/in/$1/$2"
}

make_groups() {
	local dir group

	for dir in "$CGROUPS" "$GROUPS_DIR" "$GROUPS_DIR/in"; do
		echo +memory >"$dir/cgroup.subtree_control"
	done
	mkdir "$GROUPS_DIR"/in/{reader,writer}
	echo $READER_MAX >"$GROUPS_DIR/in/reader/memory.max"
	echo $WRITER_MAX >"$GROUPS_DIR/in/writer/memory.max"
}

# Nobody was killed for want of memory, in either group.
nobody_is_killed() {
	local group

	for group in reader writer; do
		of $group memory.events
		is "$(of $group memory.events | awk '$1 == "oom_kill" { print $2 }')" -eq 0 || return 1
	done
}

# Senders have filled what there is.
stall() {
	serve server server in/reader 10.1.0.2:0 --io edge --stall --time-limit 200 || return 1
	connect client client in/writer "10.1.0.2:${PORT[server]}" --io edge --mix flood \
		--connections "$CONNECTIONS" --write 1-256K --time-limit 200
	event client settled 100 || return 1
	echo "# stalled: reader $(($(of reader memory.current) >> 20)) MiB, writer" \
		"$(($(of writer memory.current) >> 20)) MiB${1:+, pools $(($(counter CurrPoolBytes) >> 20)) MiB}" >&3
	nobody_is_killed
}

memory_was_short() {
	is "$(counter TcpNoMemory)" -gt 0
}

# The pools, which may have a quarter of it, are charged to the reader, whoever sends.
pools_are_the_readers() {
	local pools

	pools=$(counter CurrPoolBytes)
	is "$pools" -gt $((READER_MAX / 8)) && is "$pools" -le "$(of reader memory.current)" &&
		is "$(of reader memory.peak)" -le $READER_MAX
}

has_flowed() {
	is $(($(counter CpuBytes) - flowed)) -ge $FLOW
}

# The reader reads, in the memory that is left to it.
flows() {
	flowed=$(counter CpuBytes)
	tell server USR1 || return 1
	wait_for 60 has_flowed && nobody_is_killed
}

plain_flows() {
	tell server USR1 || return 1
}

ends() {
	local status=0

	tell client TERM
	ended client || status=1
	tell server TERM
	ended server || status=1
	echo "# at most: reader $(($(of reader memory.peak) >> 20)) MiB, writer" \
		"$(($(of writer memory.peak) >> 20)) MiB" >&3
	nobody_is_killed && return $status
}

start_machine
make_groups
check "plain: readers that do not read stop their senders" stall 3>&1
check "plain: they read" plain_flows
check "plain: every byte is right, and nobody was killed" ends 3>&1
check "pdload up" up --all
check "readers that do not read stop their senders, and nobody is killed" stall pools 3>&1
check "the reader's group had no more memory" memory_was_short
check "what the pools hold is charged to the reader" pools_are_the_readers
check "bytes flow again once they read" flows
check "every byte is right, and nobody was killed" ends 3>&1
check "nothing is attached any more, and no memory held" nothing_is_attached
check "pdload down" down
check "the module has gone" wait_for 5 test ! -e /sys/module/pipedevice
finish
