# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The place of the measurements, sourced by bench.sh: a "host" network
# namespace with a bridge, a client and a server namespace on it, and two
# cgroups. Processes in one are plain, those in the other are accelerated:
# pdload is attached to that cgroup alone, so that its programs never run for
# a plain socket and the two can be measured in turns.

HOST_NS=pdb-host-$$
CLIENT_NS=pdb-client-$$
SERVER_NS=pdb-server-$$
SERVER_ADDRESS=10.0.0.2
CGROUP_ROOT=
CGROUP=
WORK=
declare -A PID # of servers, by name
READY_FD=

host_up() {
	local ns

	WORK=$(mktemp -d "${TMPDIR:-/tmp}/pdbench.XXXXXX")
	CGROUP_ROOT=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
	[ -n "$CGROUP_ROOT" ] || die "no cgroup v2 is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified"
	CGROUP=$CGROUP_ROOT/pdbench-$$
	mkdir "$CGROUP" "$CGROUP/plain" "$CGROUP/accelerated"
	for ns in "$HOST_NS" "$CLIENT_NS" "$SERVER_NS"; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
	done
	ip -n "$HOST_NS" link add bridge0 type bridge
	ip -n "$HOST_NS" link set bridge0 up
	host_port "$CLIENT_NS" client 10.0.0.1
	host_port "$SERVER_NS" server "$SERVER_ADDRESS"
}

# host_port NS NAME ADDRESS: one veth pair, one end on the bridge.
host_port() {
	ip -n "$HOST_NS" link add "$2" type veth peer name eth0 netns "$1"
	ip -n "$HOST_NS" link set "$2" master bridge0 up
	ip -n "$1" addr add "$3/24" dev eth0
	ip -n "$1" link set eth0 up
}

# Bytes of frames that crossed the veth pair of the client, both directions.
host_wire_bytes() {
	local rx tx

	# The counters of the pair's end on the bridge: a namespace's own sysfs
	# would have to be mounted, ip asks by netlink.
	read -r rx tx < <(ip -n "$HOST_NS" -j -s link show client | jq -r '.[0].stats64 | "\(.rx.bytes) \(.tx.bytes)"')
	echo $((rx + tx))
}

# in_place CGROUP NS COMMAND...: become COMMAND there, until this run ends, even
# if it is killed. Only for subshells of the main shell, whose end ends COMMAND.
in_place() {
	echo "$BASHPID" >"$CGROUP/$1/cgroup.procs"
	exec setpriv --pdeathsig KILL nsenter --net="/run/netns/$2" "${@:3}"
}

# serve NAME CGROUP READY COMMAND...: start a server in the background and wait
# until it prints a line that contains READY.
serve() {
	local name=$1 cgroup=$2 ready=$3 line deadline=$((SECONDS + 10))

	exec {READY_FD}< <(in_place "$cgroup" "$SERVER_NS" "${@:4}" 2>&1)
	PID[$name]=$!
	while [ "$SECONDS" -lt "$deadline" ] && read -r -t 10 -u "$READY_FD" line; do
		printf '%s\n' "$line" >>"$WORK/$name.log"
		case $line in
		*"$ready"*)
			# What it says later goes nowhere and must not block it.
			cat <&"$READY_FD" >>"$WORK/$name.log" &
			exec {READY_FD}<&-
			return
			;;
		esac
	done
	die "$name did not start: $(tail -n 1 "$WORK/$name.log" 2>/dev/null)"
}

# stop NAME: end one server and wait until it has gone.
stop() {
	local pid=${PID[$1]:-}

	[ -n "$pid" ] || return 0
	unset "PID[$1]"
	kill "$pid" 2>/dev/null || return 0
	# A process substitution can't be waited for.
	if ! timeout 5 tail --pid="$pid" -s 0.02 -f /dev/null; then
		echo "bench: $1 (pid $pid) did not end on SIGTERM and was killed" >&2
		kill -KILL "$pid" 2>/dev/null || true
	fi
}

host_down() {
	local name ns

	for name in "${!PID[@]}"; do
		stop "$name"
	done
	for ns in "$CLIENT_NS" "$SERVER_NS" "$HOST_NS"; do
		[ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
	done
	if [ -n "$CGROUP" ] && [ -d "$CGROUP" ]; then
		rmdir "$CGROUP"/*/ "$CGROUP" 2>/dev/null ||
			echo "bench: cgroup $CGROUP is still in use and stays" >&2
	fi
	[ -z "$WORK" ] || rm -rf "$WORK"
}
