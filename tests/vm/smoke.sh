#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What a kernel has to get right before anything else: runs in a virtual machine,
# where it is quick and may change what belongs to the whole machine.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/../../tests/net/lib.bash"

CLEAN=duplex,upload,download,rr,halfclose,wclose,sclose
SOME=(--mix "$CLEAN" --connections 8 --total 40)
HELD=5
STALLED=20

if [ "$(hostname)" != pipedevice-vm ]; then
	echo "Bail out! changes net.ipv4.tcp_mem: only for a machine of tools/vm/run.sh"
	exit 1
fi

engine_is_usable() {
	"$PDLOAD" probe --json >"$WORK/probe.json"
	is "$(jq -r .engine "$WORK/probe.json")" = sockmap
}

all_are_accelerated() {
	is "$(since accelerated)" -eq "$(done_of client started)" &&
		is "$(since redirected_bytes)" -gt 0
}

accelerated() {
	local sentence=$1
	shift

	before
	check "$sentence" exchange "$@"
	check "$sentence: all are accelerated" all_are_accelerated
}

listed() {
	is "$(conns_with '.state == "paired"')" -eq $HELD && is "$(status enrolled)" -eq $HELD
}

flushed() {
	is "$("$PDLOAD" flush --json | jq -r .released)" -eq $HELD
}

# Readers that do not read, for more than all of TCP may hold; then they do.
short_of_memory() {
	local tcp_mem
	tcp_mem=$(nsenter -t 1 -n sysctl -n net.ipv4.tcp_mem)

	nsenter -t 1 -n sysctl -qw net.ipv4.tcp_mem="2000 3000 4000"
	stalled || {
		nsenter -t 1 -n sysctl -qw net.ipv4.tcp_mem="$tcp_mem"
		return 1
	}
	nsenter -t 1 -n sysctl -qw net.ipv4.tcp_mem="$tcp_mem"
}

stalled() {
	local status=0

	serve server server in 10.1.0.2:0 --io edge --stall || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --io edge --mix flood \
		--connections $STALLED || return 1
	event client settled 60 || status=1
	tell server USR1
	[ $status -ne 0 ] || tell client TERM
	ended client || status=1
	tell server TERM
	ended server || status=1
	return $status
}

start_host
add_ns client bridge 10.1.0.1/24 fd01::1/64
add_ns server bridge 10.1.0.2/24 fd01::2/64

check "the sockmap engine can be used" engine_is_usable
check "plain TCP, IPv4" exchange client in server in 10.1.0.2:0 10.1.0.2:PORT -- "${SOME[@]}"
check "pdload up loads every program" up --all
accelerated "IPv4, one way" client in server in 10.1.0.2:0 10.1.0.2:PORT --io edge -- \
	--io edge "${SOME[@]}"
accelerated "IPv4, the other way, blocking calls" server in client in 10.1.0.1:0 10.1.0.1:PORT \
	--io block --spurious -- --io block --spurious "${SOME[@]}"
accelerated "IPv6, the server speaks first" client in server in '[fd01::2]:0' '[fd01::2]:PORT' \
	--greet -- --greet "${SOME[@]}"
before
check "the server is not on this host" exchange client in server out 10.1.0.2:0 10.1.0.2:PORT -- \
	"${SOME[@]}"
check "the server is not on this host: none is accelerated" is "$(since accelerated)" -eq 0
check "connections are held" hold $HELD --size 1-100K
check "conns and status know them" listed
check "flush puts them back on TCP" flushed
check "they go on without a wrong byte" end_traffic
check "senders wait when TCP's memory is used up" short_of_memory
check "pdload down succeeds" down
check "nothing is left pinned" test ! -e /sys/fs/bpf/pipedevice
finish
