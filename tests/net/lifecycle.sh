#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# up and down in every order, interrupted at any moment, on hosts that lack
# something: a clear error or a correct result, and never a half state.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

PINS=/sys/fs/bpf/pipedevice

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24

# fails STATUS PATTERN CMD...: with that exit status, and with sentences of pdload alone.
fails() {
	local expected=$1 pattern=$2 status=0
	shift 2

	"$@" >"$WORK/out" 2>&1 || status=$?
	cat "$WORK/out"
	is "$status" -eq "$expected" || return 1
	if grep -v '^pdload: ' "$WORK/out"; then
		echo "not all of that is from pdload"
		return 1
	fi
	grep -E "$pattern" "$WORK/out"
}

# Neither pins, whole or half, nor programs on the control group.
nothing_left() {
	find /sys/fs/bpf -maxdepth 1 -name 'pipedevice*' | grep . && return 1
	bpftool cgroup show "$GROUPS_DIR/in" | grep . && return 1
	return 0
}

# Up, and connections are accelerated.
works() {
	before
	exchange client in server in 10.1.0.2:0 10.1.0.2:PORT -- --mix duplex --connections 4 \
		--total 20 && is "$(since accelerated)" -eq 20
}

# What `status` says is what is there: nothing is enrolled if it says no.
whole_or_nothing() {
	local status=0

	"$PDLOAD" status >/dev/null || status=$?
	if [ -e $PINS ]; then
		is $status -eq 0
	else
		is $status -eq 3 && nothing_is_enrolled
	fi
}

# Programs that a crash has left attached may look on, no more.
nothing_is_enrolled() {
	local enrolled

	bpftool cgroup show "$GROUPS_DIR/in" | grep sock_ops || return 0
	enrolled=$(enrolled_aside)
	exchange client in server in 10.1.0.2:0 10.1.0.2:PORT -- --mix duplex --connections 4 \
		--total 20 && is "$(enrolled_aside)" -eq "$enrolled"
}

enrolled_aside() {
	bpftool -j map dump pinned /sys/fs/bpf/pipedevice+*/maps/pd_totals |
		jq '[.[].formatted.values[].value.accelerated] | add'
}

# ---- in order and out of order ----------------------------------------------

down_twice_is_fine() {
	down && down | grep 'not up'
}

check "down without up has nothing to do" down_twice_is_fine
check "flush without up says so" fails 3 'is not up' "$PDLOAD" flush
check "conns without up says so" fails 3 'is not up' "$PDLOAD" conns
check "policy apply without up says so" fails 3 'is not up' "$PDLOAD" policy apply /dev/null
check "up" up --all
check "up again is refused" fails 1 'is up already' up --all
check "and the first one still works" works
check "down" down
check "nothing is left" nothing_left
check "up with a control group that is not there is refused" \
	fails 1 'no-such-group' "$PDLOAD" up --all --cgroup /no-such-group
check "up with a bad policy is refused" fails 6 'expected' up --policy /dev/null
check "nothing is left" nothing_left

# ---- two at once -----------------------------------------------------------------

two_ups_at_once() {
	local round pids first second

	for round in {1..5}; do
		"$PDLOAD" up --all --cgroup "/$TAG/in" >"$WORK/up.1" 2>&1 &
		pids=$!
		"$PDLOAD" up --all --cgroup "/$TAG/in" >"$WORK/up.2" 2>&1 &
		first=0 second=0
		wait $! || second=$?
		wait "$pids" || first=$?
		echo "round $round: $first $second"
		cat "$WORK/up.1" "$WORK/up.2"
		is $((first + second)) -eq 1 && grep -q 'is up already' "$WORK"/up.[12] &&
			works && down && nothing_left || return 1
	done
}

check "of two ups at once one succeeds and the other is refused" two_ups_at_once

# ---- killed at any moment ----------------------------------------------------

# killed_at SYSCALLS N CMD...: killed as it makes the Nth of these system calls. CMD may end before.
killed_at() {
	local calls=$1 nth=$2
	shift 2

	strace -f -qq -o "$WORK/strace" -e trace="$calls" -e inject="$calls:signal=KILL:when=$nth" \
		"$@" >/dev/null 2>&1 || true
}

# How many of these system calls CMD makes.
count_calls() {
	local calls=$1
	shift

	strace -f -qq -o "$WORK/strace" -e trace="$calls" "$@" >/dev/null
	wc -l <"$WORK/strace"
}

RENAMES=rename,renameat,renameat2
UNLINKS=unlink,unlinkat,rmdir

recovers_from_killed_up() {
	killed_at "$1" "$2" "$PDLOAD" up --all --cgroup "/$TAG/in"
	if ! whole_or_nothing; then
		echo "up was killed at call $2 of $1"
		return 1
	fi
	# It is there, but nothing is enrolled: only down helps.
	if [ -e $PINS ] && [ "$(status draining)" = true ]; then
		idle=$((idle + 1))
		fails 1 'is going down' up --all || return 1
	fi
	# What was left aside is cleaned by what comes next, be it up or down.
	rounds=$((rounds + 1))
	if [ ! -e $PINS ] && ((rounds % 2)); then
		up --all && works || return 1
	fi
	down && nothing_left
}

killed_up_is_whole_or_nothing() {
	local nth last rounds=0 idle=0
	last=$(count_calls bpf "$PDLOAD" up --all --cgroup "/$TAG/in")
	down || return 1

	for ((nth = 1; nth <= last; nth += 3)); do
		recovers_from_killed_up bpf $nth || return 1
	done
	recovers_from_killed_up bpf "$last" && recovers_from_killed_up $RENAMES 1 &&
		is $idle -gt 0 || return 1
	echo "# up was killed $rounds times, at $last calls of bpf() and at the last rename()" >&3
}

killed_down_can_be_repeated() {
	local nth last call
	up --all || return 1

	for call in bpf $RENAMES $UNLINKS; do
		last=$(count_calls "$call" "$PDLOAD" down)
		for ((nth = 1; nth <= last; nth += last / 8 + 1)); do
			up --all || return 1
			killed_at "$call" $nth "$PDLOAD" down
			if ! whole_or_nothing; then
				echo "down was killed at call $nth of $call"
				return 1
			fi
			down && nothing_left || return 1
		done
		up --all || return 1
	done
	down
}

check "up, killed at any moment, leaves all or nothing, and the next one cleans up" \
	killed_up_is_whole_or_nothing 3>&1
check "down, killed at any moment, can be repeated" killed_down_can_be_repeated

# ---- the pin directory is taken -----------------------------------------------

foreign_is_untouched() {
	is "$(stat -c %u $PINS)" -eq 12345 && [ -e $PINS/theirs ]
}

mkdir -m 755 $PINS
bpftool map create $PINS/theirs type array key 4 value 4 entries 1 name theirs
chown 12345 $PINS
check "up refuses a pin directory of somebody else" fails 1 "$PINS" up --all
check "status refuses it, too" fails 1 "$PINS" "$PDLOAD" status
"$PDLOAD" down >/dev/null 2>&1 || true
check "it is left as it was" foreign_is_untouched
check "no program is attached" test -z "$(bpftool cgroup show "$GROUPS_DIR/in")"
rm $PINS/theirs
rmdir $PINS
bpftool map create $PINS type array key 4 value 4 entries 1 name theirs
check "up refuses a pinned map in the directory's place" fails 1 "$PINS" up --all
"$PDLOAD" down >/dev/null 2>&1 || true
check "it is left as it was" test -f $PINS
check "no program is attached" test -z "$(bpftool cgroup show "$GROUPS_DIR/in")"
rm $PINS

# ---- hosts that lack something -----------------------------------------------------

# without DIRECTORY-PATTERN CMD...: with nothing mounted at the mount points that match.
without() {
	local pattern=$1
	shift

	# shellcheck disable=SC2016  # for the inner shell
	unshare --mount --propagation private sh -c 'pattern=$1
		shift
		for dir in $(awk -v pattern="$pattern" "\$3 ~ pattern { print \$2 }" /proc/mounts); do
			umount "$dir"
		done
		exec "$@"' sh "$pattern" "$@"
}

# up mounts bpffs itself, in the mount namespace that it runs in.
up_mounts_bpffs() {
	# shellcheck disable=SC2016  # for the inner shell
	without '^bpf$' sh -e -c '! mountpoint -q /sys/fs/bpf
		"$0" up --all --cgroup "$1"
		mountpoint /sys/fs/bpf
		"$0" status
		"$0" down' "$PDLOAD" "/$TAG/in" && nothing_left
}

# Nowhere to mount it: /sys/fs has no directory for it.
up_without_bpffs() {
	# shellcheck disable=SC2016  # for the inner shell
	unshare --mount --propagation private sh -e -c 'mkdir "$2"
		mount --bind "$(dirname "$1")" "$2"
		mount -t tmpfs -o ro none /sys/fs
		"$0" up --all' "$PDLOAD" "$CGROUPS" "$WORK/cgroup"
}

# From a directory that everybody may enter.
as_nobody() {
	chmod 755 "$WORK"
	cp "$PDLOAD" "$WORK/pdload"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

without_capability() {
	setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-bpf,-sys_admin "$@"
}

check "without bpffs up mounts it" up_mounts_bpffs
check "where bpffs cannot be mounted up says so" fails 5 "bpf" up_without_bpffs
check "nothing is left" nothing_left
check "without cgroup v2 up says so" \
	fails 5 'cgroup' without '^cgroup2$' "$PDLOAD" up --all
check "nothing is left" nothing_left
check "without CAP_BPF up says so" fails 5 'CAP_BPF|capabilit' without_capability "$PDLOAD" up --all
check "without root up says so" fails 5 'root' as_nobody "$WORK/pdload" up --all
check "without root down says so" fails 1 'root' as_nobody "$WORK/pdload" down
check "nothing is left" nothing_left

# ---- the control group goes away -----------------------------------------------------

group_is_removed() {
	mkdir "$GROUPS_DIR/in/short" || return 1
	"$PDLOAD" up --all --cgroup "/$TAG/in/short" && rmdir "$GROUPS_DIR/in/short" || return 1
	"$PDLOAD" status | grep -i removed && down && nothing_left
}

check "status tells that the control group was removed, and down still works" group_is_removed
finish
