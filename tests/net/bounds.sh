#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# A sender that never stops meets a reader that does not read: it is refused
# after at most the bound and what plain TCP takes, and nothing is lost.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

READERS=100
# One send() may begin below the bound and end above it: what the kernel puts into one message.
MESSAGE=$((256 << 10))

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24

memory_available() {
	local kib
	kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	echo $((kib * 1024))
}

# settled_of KEY FIELD
settled_of() {
	jq -r "select(.event == \"settled\").$2" "$WORK/$1.out"
}

# stalled SENDER READER SCENARIO MEMORY-FILE [IO]: all senders have been refused; then all is read.
stalled() {
	local sender=$1 reader=$2 scenario=$3 io=$5 server_args=() client_args=() available
	[ "$reader" = server ] && server_args=(--stall) || client_args=(--stall)

	available=$(memory_available)
	serve server server in 10.1.0.2:0 --io "$io" "${server_args[@]}" || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --io "$io" --mix "$scenario" \
		--connections $READERS "${client_args[@]}" || return 1
	event "$sender" settled 60 || return 1
	echo $((available - $(memory_available))) >"$WORK/$4"
	# Readers begin, and senders end; a reading server waits for the client's end.
	[ "$reader" = client ] || tell server USR1
	tell client TERM
	if ! ended client; then
		show_end server
		return 1
	fi
	tell server TERM
	ended server
}

# refused_in_time SENDER BOUND: no connection took more than plain TCP and the bound.
refused_in_time() {
	local max allowed

	max=$(settled_of "$1" max)
	allowed=$((plain_max + $2 + MESSAGE))
	echo "# $1: $(settled_of "$1" min) to $max bytes accepted, plain TCP $plain_max," \
		"allowed $allowed" >&3
	is "$(settled_of "$1" connections)" -eq $READERS && is "$max" -le "$allowed" &&
		is "$max" -gt "$2"
}

# Sockets hold the bytes in pages of their own, so a message can cost up to twice its length.
memory_in_bounds() {
	local used plain
	used=$(cat "$WORK/memory")
	plain=$(cat "$WORK/plain-memory")

	echo "# memory: $((used >> 20)) MiB, plain TCP $((plain >> 20)) MiB," \
		"$READERS connections with a bound of $(($1 >> 10)) KiB" >&3
	is "$used" -le $((plain + READERS * 2 * ($1 + MESSAGE) + (64 << 20)))
}

check "plain: $READERS stalled servers" stalled client server flood plain-memory edge
plain_max=$(settled_of client max)
echo "# plain TCP accepts $(settled_of client min) to $plain_max bytes"
check "plain: $READERS stalled clients" stalled server client sflood memory level
[ "$(settled_of server max)" -le "$plain_max" ] || plain_max=$(settled_of server max)

for bound in 4M 256K; do
	bytes=$(numfmt --from=iec $bound)
	check "pdload up --bound $bound" up --all --bound $bound
	before
	for io in edge level; do
		check "bound $bound: $READERS stalled servers, then every byte is right, $io" \
			stalled client server flood memory $io
		check "bound $bound: each sender was refused in time, $io" \
			refused_in_time client "$bytes" 3>&1
		check "bound $bound: memory stays within the bound, $io" memory_in_bounds "$bytes" 3>&1
	done
	check "bound $bound: $READERS stalled clients, then every byte is right" \
		stalled server client sflood memory edge
	check "bound $bound: each sender was refused in time" refused_in_time server "$bytes" 3>&1
	check "bound $bound: memory stays within the bound" memory_in_bounds "$bytes" 3>&1
	check "bound $bound: each direction went to TCP for its bound" \
		is "$(since reasons.overflow)" -ge $((3 * READERS))
	check "bound $bound: send() after shutdown(SHUT_WR) gives EPIPE, 200 times" \
		exchange client in server in 10.1.0.2:0 10.1.0.2:PORT -- --mix upload --total 200 \
		--connections 16
	check "pdload down" down
done
finish
