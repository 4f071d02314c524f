#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# 10,000 connections enrolled at once, what each costs, and what happens when
# there are more than the maps have room for.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

CONNECTIONS=10000
ROOM=1000
MORE=3000
# What a connection may cost beyond plain TCP: storage and sockmap entries of its two ends.
MAX_EACH=12288

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24

# Memory that the kernel cannot give back, in bytes.
kernel_memory() {
	local kib
	kib=$(awk '/^(SUnreclaim|KernelStack|PageTables|Percpu|VmallocUsed):/ { sum += $2 }
		END { print sum }' /proc/meminfo)
	echo $((kib * 1024))
}

# Map memory as the kernel accounts it, in bytes.
map_memory() {
	local name

	for name in pd_socks pd_ends pd_conns pd_handshakes; do
		bpftool -j map show pinned /sys/fs/bpf/pipedevice/maps/$name | jq .bytes_memlock
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

hold_many() {
	hold "$1" --io edge --rounds 3 --size 1-2K --time-limit 200 --stall-limit 30
}

# measure FILE: what the connections that are held have cost since `rest` was called.
rest() {
	resting=$(kernel_memory)
}

measure() {
	echo $(($(kernel_memory) - resting)) >"$WORK/$1"
}

cost_is_stated() {
	local plain accelerated each
	plain=$(cat "$WORK/plain")
	accelerated=$(cat "$WORK/accelerated")
	each=$(((accelerated - plain) / CONNECTIONS))

	echo "# kernel memory of $CONNECTIONS connections: plain $((plain >> 20)) MiB," \
		"enrolled $((accelerated >> 20)) MiB, difference $each bytes each" >&3
	echo "# maps: $maps_empty bytes empty, $maps_full with all enrolled," \
		"$(((maps_full - maps_empty) / CONNECTIONS)) more for each connection" >&3
	is "$each" -le $MAX_EACH
}

none_enrolled() {
	is "$(status enrolled)" -eq 0
}

the_rest_is_counted() {
	local paired full

	paired=$(since accelerated)
	full=$(since reasons.map_full)
	echo "# $MORE connections, room for $ROOM: $paired enrolled, $full counted map_full" >&3
	is "$paired" -gt 0 && is "$paired" -le $ROOM && is $((paired + full)) -eq $MORE &&
		is "$(status enrolled)" -eq "$paired"
}

rest
check "plain: $CONNECTIONS connections at once" hold_many $CONNECTIONS
measure plain
check "plain: they end well" end_traffic

check "pdload up" up --all
maps_empty=$(map_memory)
before
rest
check "$CONNECTIONS connections at once" hold_many $CONNECTIONS
measure accelerated
maps_full=$(map_memory)
check "all of them are enrolled" is "$(status enrolled)" -eq $CONNECTIONS
check "pdload conns lists each of them" is \
	"$(conns_with '.state == "paired" and .client.enrolled and .server.enrolled')" \
	-eq $CONNECTIONS
check "none of them was refused" is "$(since reasons.map_full)" -eq 0
check "a connection costs at most $MAX_EACH bytes more than plain TCP" cost_is_stated 3>&1
check "they end well" end_traffic
check "their entries are gone" wait_for 10 none_enrolled
check "pdload down" down

check "pdload up --max-connections $ROOM" up --all --max-connections $ROOM
before
check "$MORE connections at once" hold_many $MORE
check "each is enrolled or counted as refused by a full map" the_rest_is_counted 3>&1
check "those refused stay on TCP, and all end well" end_traffic
before
check "$ROOM more find room again" hold_many $ROOM
check "all of them are enrolled" is "$(since accelerated)" -eq $ROOM
check "they end well" end_traffic
check "pdload down" down
finish
