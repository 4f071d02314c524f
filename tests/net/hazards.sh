#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Moments at which a connection is enrolled, redirected or released while its
# programs do something awkward: no byte is lost, none comes from another
# connection, nobody sleeps for ever, and flush and down say what they did.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

HAZARDS=$(realpath "$BUILD/tests/net/hazards")
SLEEPERS=40
SINGLE_BYTES=50000
MESSAGE_COST=1024 # what a redirected message takes of the kernel's memory at least
mode=plain

start_host

# begin CASE [NUMBER]
begin() {
	spawn hazard - in "$HAZARDS" "$@"
}

# hazard CASE [NUMBER]: to its end.
hazard() {
	begin "$@"
	ended hazard
}

# The case has met redirection, and not only TCP.
redirected() {
	is "$(since accelerated)" -gt 0 && is "$(since redirected_bytes)" -gt 0
}

# ---- one connection ----------------------------------------------------------

simple_cases() {
	check "$mode: what one end said before it closed outlives the other's half-close" \
		hazard half-closed
	check "$mode: a socket that is disconnected and connected again reads nothing of its first peer" \
		hazard reconnected
}

# Asleep in recv() or poll() when the connection is established, and the server speaks first.
early_case() {
	check "$mode: a reader asleep since before the handshake is woken by the first bytes" \
		hazard early-readers
}

swinging_case() {
	check "$mode: a reader that waits for all it asked for gets it, while its socket is written to" \
		hazard swinging "$1"
}

# ---- memory --------------------------------------------------------------------

# Single bytes pile up, then all are read.
stalled() {
	begin stalled "$SINGLE_BYTES"
	event hazard stalled 20 || return 1
	[ $mode = plain ] || "$PDLOAD" conns --json >"$WORK/conns.json"
	tell hazard USR1
	ended hazard
}

stalled_case() {
	check "$mode: $SINGLE_BYTES single bytes to a reader that does not read, then all is read" \
		stalled
}

messages_in_bounds() {
	local messages port most=$(($1 / MESSAGE_COST))

	port=$(jq -r 'select(.event == "stalled").port' "$WORK/hazard.out")
	messages=$(jq "[.[] | select(.client.port == $port)][0].client.redirected_messages" \
		"$WORK/conns.json")
	echo "# of $SINGLE_BYTES single bytes $messages were redirected, at most $most may be" >&3
	is "$messages" -gt 0 && is "$messages" -le "$most"
}

# ---- flush during handshakes ---------------------------------------------------

flushed_meanwhile() {
	local flushes=0

	begin handshakes "$1"
	while kill -0 "${PID[hazard]}" 2>/dev/null; do
		if ! "$PDLOAD" flush --drain 5 >"$WORK/flush" 2>&1; then
			cat "$WORK/flush"
			echo "flush $flushes failed"
			return 1
		fi
		flushes=$((flushes + 1))
	done
	ended hazard || return 1
	echo "# $flushes times flush, $(jq -r 'select(.event == "shaken").connections' \
		"$WORK/hazard.out") connections" >&3
	is "$flushes" -gt 10
}

# ---- release with sleepers -----------------------------------------------------

# sleep_through VERB...: released while readers are asleep, some of whom begin late.
sleep_through() {
	local began took status=0

	begin sleepers "$SLEEPERS"
	event hazard ready 10 || return 1
	began=${EPOCHREALTIME/./}
	tell hazard USR1
	[ $# -eq 0 ] || "$PDLOAD" "$@" --drain 8 --json >"$WORK/release.json" || status=$?
	took=$((${EPOCHREALTIME/./} - began))
	[ $# -eq 0 ] || cat "$WORK/release.json"
	echo "# ${*:-nothing} took $((took / 1000)) ms" >&3
	is $status -eq 0 && is $took -le 2000000
}

talk_on() {
	tell hazard USR1
	ended hazard
}

# reported NUMBER: what the last flush or down said.
reported() {
	cat "$WORK/release.json"
	is "$(jq .released "$WORK/release.json")" -eq "$1" &&
		is "$(jq .left "$WORK/release.json")" -eq 0
}

nothing_is_enrolled() {
	is "$(status enrolled)" -eq 0 && is "$(conns_with 'true')" -eq "$SLEEPERS" &&
		is "$(conns_with '.state == "released" and .engine == "tcp"')" -eq "$SLEEPERS" &&
		is "$(conns_with '.client.unread + .server.unread > 0')" -eq 0
}

flush_again() {
	"$PDLOAD" flush --drain 8 --json >"$WORK/release.json" && reported 0
}

is_not_up() {
	local status=0

	"$PDLOAD" status || status=$?
	is $status -eq 3 && [ -z "$(bpftool cgroup show "$GROUPS_DIR/in")" ] &&
		[ -z "$(find /sys/fs/bpf -name 'pipedevice*')" ]
}

# ------------------------------------------------------------------------------

simple_cases
early_case
swinging_case 1
stalled_case
check "plain: handshakes completed at any moment, both ends talk at once" hazard handshakes 1
check "plain: readers sleep, some begin late" sleep_through 3>&1
check "plain: all of them get what is sent afterwards" talk_on

mode=accelerated
check "pdload up" up --all
before
simple_cases
check "the bytes of these were redirected" redirected
early_case
before
check "accelerated: handshakes completed at any moment, both ends talk, flush all the time" \
	flushed_meanwhile 6 3>&1
check "the bytes of these were redirected" redirected

for verb in flush down; do
	before
	check "$verb with sleeping readers ends at once, with success" sleep_through $verb 3>&1
	check "$verb reports the $SLEEPERS connections that there are" reported $SLEEPERS
	if [ $verb = flush ]; then
		check "the bytes of these were redirected" redirected
		check "status and conns know that nothing is enrolled any more" nothing_is_enrolled
		check "flush again finds nothing to release" flush_again
	else
		check "nothing is left of it" is_not_up
	fi
	check "after $verb all readers get what is sent" talk_on
done
# If it could not finish before: the cases below are others.
"$PDLOAD" down --drain 2 >/dev/null 2>&1 || true

for bound in 4M 64K; do
	check "pdload up --bound $bound" up --all --bound $bound
	stalled_case
	check "bound $bound: single bytes that wait count with what they cost" \
		messages_in_bounds "$(numfmt --from=iec $bound)" 3>&1
	if [ $bound = 64K ]; then
		before
		swinging_case 10
		check "the direction has gone to TCP for its bound" \
			is "$(since reasons.overflow)" -gt 0
	fi
	check "pdload down" down
done
finish
