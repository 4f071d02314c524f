#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# A reader gets exactly the bytes written, in order, once, then the end: however
# the two ends race, whatever their sizes, and however they leave.
#
#     SMALLER   what the numbers of connections are divided by (default: 1)
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24
mode=plain
SMALLER=${SMALLER:-1}
SOME=$((300 / SMALLER))

# traffic SENTENCE SERVER-ARG... -- CLIENT-ARG...
traffic() {
	local sentence=$1
	shift

	check "$mode: $sentence" exchange client in server in 10.1.0.2:0 10.1.0.2:PORT "$@"
}

# ---- the first bytes overtake the server's enrolment -------------------------

SHORT=(--mix "duplex,upload,download,rr,wclose,sclose,halfclose" --size 1-600 --rounds 3
	--connections 64)

# What every second connection of the client sends waits in a slow queue, its last packet of the
# handshake, too: it is ESTABLISHED and writes while the server still waits. What is not classified
# (the other client ports) is not delayed.
delay_client() {
	local tc=(in_ns client tc)

	"${tc[@]}" qdisc add dev eth0 root handle 1: htb
	"${tc[@]}" class add dev eth0 parent 1: classid 1:1 htb rate 10mbit burst 2000 cburst 2000
	in_ns client nft 'add table ip slow; add chain ip slow out { type filter hook postrouting priority 0; };
		add rule ip slow out tcp sport & 2 == 2 meta priority set 1:1'
}

undelay_client() {
	in_ns client tc qdisc del dev eth0 root
	in_ns client nft delete table ip slow
}

# Some have raced and some have not; with the module that makes no difference.
raced_both_ways() {
	is_sockmap || {
		all_redirected "$1"
		return
	}
	echo "# raced: $(since reasons.raced) of $1 connections" >&3
	is "$(since reasons.raced)" -gt 0 && is "$(since reasons.raced)" -lt "$1" &&
		is "$(since accelerated)" -eq "$1"
}

all_redirected() {
	is "$(since accelerated)" -eq "$1" && is "$(since redirected_bytes)" -gt 0
}

all_raced() {
	is_sockmap || {
		all_redirected "$1"
		return
	}
	echo "# raced: $(since reasons.raced) of $1 connections" >&3
	is "$(since reasons.raced)" -eq "$1" && is "$(since accelerated)" -eq "$1" &&
		is "$(since redirected_bytes)" -gt 0
}

race_cases() {
	delay_client
	[ "$mode" = plain ] || before
	traffic "$1 short connections that write at once, the server hears late" \
		--io level -- --io edge "${SHORT[@]}" --total "$1"
	undelay_client
	[ "$mode" = plain ] || check "the race has happened, and has not for others" \
		raced_both_ways "$1" 3>&1
	# With TCP_DEFER_ACCEPT the first data is what completes the handshake.
	[ "$mode" = plain ] || before
	traffic "$2 short connections whose first data completes the handshake" \
		--io edge --defer -- --io level "${SHORT[@]}" --total "$2"
	[ "$mode" = plain ] || check "all of them have raced, and the server's answers are redirected" \
		all_raced "$2" 3>&1
}

# ---- sizes and ends ----------------------------------------------------------

LARGE=(--size 1-4M --connections 24)

size_cases() {
	local io blocking=(--io block)

	for io in level edge; do
		traffic "1 B to 4 MiB, both directions at once, half-close, write-then-close, $io" \
			--io $io -- --io $io "${LARGE[@]}" --total $SOME \
			--mix duplex,duplex,rr,halfclose,wclose,sclose --rounds 3
		traffic "close with unread data, $io" --io $io -- --io $io "${LARGE[@]}" \
			--total $SOME --mix unread,sunread,duplex
		# Not more at once than the kernel takes into a socket's backlog: beyond that
		# it drops a reset that comes while a task owns the socket (README, hazards).
		traffic "reset, $io" --io $io -- --io $io --size 1-100K --connections 24 \
			--total $((4 * SOME / 3)) --mix rst,srst,duplex
	done
	# Kernel defects that the engine inherits: eagain_after_half_close, eagain_in_blocking_recv.
	[ "$mode" = plain ] || ! is_sockmap || blocking+=(--spurious)
	traffic "1 B to 4 MiB, both directions at once, half-close, write-then-close, blocking" \
		"${blocking[@]}" -- "${blocking[@]}" "${LARGE[@]}" --total $SOME \
		--mix duplex,duplex,rr,halfclose,wclose,sclose --rounds 3
	traffic "small writes and small reads" --read 1-200 -- --read 1-200 --write 1-200 \
		--size 1-64K --connections 24 --total $SOME --mix duplex,upload,download,halfclose
}

# ---- a direction that goes to TCP and comes back ------------------------------

# Slow readers of fast writers for a few seconds.
swinging() {
	local io=$1 extra=()
	[ "$io" != block ] || ! is_sockmap || extra=(--spurious)

	serve server server in 10.1.0.2:0 --io "$io" --read 1-40K "${extra[@]}" || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --io "$io" --mix forever,forever,rr \
		--rounds 0 --connections 12 --read 1-40K "${extra[@]}"
	wait_for 20 enough_swings || return 1
	end_traffic
}

# Directions have gone over to TCP and come back since before.
enough_swings() {
	local returns
	returns=$("$PDLOAD" conns --json | jq '[.[] | .client.returns, .server.returns] | add // 0')

	is "$(since reasons.overflow)" -gt 300 && is "$returns" -gt 100
}

# ---- sudden death ------------------------------------------------------------

# killed WHO: one end dies at a random time under load; the other must see the end or a reset,
# after right bytes only, and go on or end by itself.
killed() {
	local round victim survivor steps=()
	# An emulated machine takes a second to make and check 4 MiB, for each of 16 connections.
	is_sockmap || steps=(--write 1-64K --read 1-64K)

	for round in $(seq "$2"); do
		serve server server in 10.1.0.2:0 --tolerate --time-limit 40 "${steps[@]}" || return 1
		connect client client in "10.1.0.2:${PORT[server]}" --tolerate --io edge \
			--mix forever,rr,duplex,flood --rounds 0 --connections 16 --total 100000 \
			--size 1-4M --seed $((SEED + round)) --time-limit 40 "${steps[@]}"
		sleep "0.$(printf '%03d' $((5 + RANDOM % 200)))"
		[ "$1" = client ] && victim=client survivor=server || victim=server survivor=client
		kill -9 "${PID[$victim]}"
		wait "${PID[$victim]}" 2>/dev/null || true
		tell $survivor TERM 2>/dev/null || true
		if ! ended $survivor; then
			echo "round $round"
			return 1
		fi
	done
}

# The module is tested in an emulated machine, for which this is enough natively.
if is_sockmap; then
	race_cases 4000 1000
	size_cases
	for victim in client server; do
		check "plain: the $victim is killed at 8 random times" killed "$victim" 8
	done
fi

mode=accelerated
check "pdload up" up --all
if is_sockmap; then
	race_cases 20000 5000
else
	race_cases $((2000 / SMALLER)) $((500 / SMALLER))
fi
size_cases
deaths=25
is_sockmap || deaths=$((10 / SMALLER))
for victim in client server; do
	check "accelerated: the $victim is killed at $deaths random times" killed "$victim" "$deaths"
done
if ! is_sockmap; then
	mode="a third over TCP"
	echo 33 >/sys/module/pipedevice/parameters/over_tcp
	size_cases
	echo 0 >/sys/module/pipedevice/parameters/over_tcp
fi
check "pdload down" down
if ! is_sockmap; then
	finish
	exit
fi

check "pdload up --bound 64K" up --all --bound 64K
for io in level edge block; do
	before
	check "directions swing between TCP and redirection, $io" swinging $io
	echo "# $(since reasons.overflow) times to TCP for the bound"
	check "each byte was counted once, $io" wait_for 5 bytes_counted
done
traffic "1 B to 4 MiB with a bound of 64 KiB" -- "${LARGE[@]}" --total $SOME \
	--mix duplex,rr,halfclose,wclose,sclose,unread,rst --rounds 3
check "pdload down" down
finish
