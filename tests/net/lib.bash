# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the network tests share. A test sources this first; it then runs in a
# network and a mount namespace of its own (the "host": bridges, firewall, bpffs)
# and owns two control groups:
#     in    what `up` attaches to: both ends in there can be accelerated
#     out   everything else: as good as another machine
#
#     check, skip, finish           test cases: see tests/tap.bash
#     up ARGS... / down             pdload, attached to the group "in"
#     add_ns NAME BRIDGE ADDR...    a namespace, joined to a bridge by a veth pair
#     serve KEY NS GROUP ARGS...    start a traffic server; ${PORT[KEY]} is its port
#     connect KEY NS GROUP ARGS...  start a traffic client
#     tell KEY SIGNAL, ended KEY    signal one; wait until it has ended, status 0?
#     done_of KEY FIELD             a number of its summary
#     bytes_counted                 each byte of both was, once
#     hold COUNT [ARG...]           so many connections have talked and rest
#     end_traffic                   both have ended well: what rests goes on before
#     status FIELD                  a number of `pdload status --json`

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
# shellcheck source=tests/tap.bash
. tests/tap.bash

# --net: /run/netns and bpffs are new, so nothing has to be removed later.
if [ "${PIPEDEVICE_TEST:-}" != $$ ]; then
	export PIPEDEVICE_TEST=$$
	exec unshare --mount --net --propagation private bash "$0" "$@"
fi

BUILD=${BUILD:-build}
PDLOAD=$(realpath "${PDLOAD:-$BUILD/pdload}")
TRAFFIC=$(realpath "$BUILD/tests/net/traffic")
NAME=$(basename "$0" .sh)
TAG=pdnet-$NAME-$$
CGROUPS=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
GROUPS_DIR=$CGROUPS/$TAG
WORK=$(mktemp -d "/tmp/$TAG.XXXXXX")
# sockmap, or cpu where the module can be loaded
ENGINE=${ENGINE:-sockmap}
# What time limits are multiplied by, here and in the traffic: for slow machines.
export PATIENCE=${PATIENCE:-1}
# Changed by hand to look for what depends on it; printed with every failure.
SEED=${SEED:-$((RANDOM + 1))}
declare -A PID PORT

stop_all() {
	local status=$?

	trap '' INT TERM
	trap - EXIT
	# Everything that the test started is in there.
	[ ! -e "$GROUPS_DIR/cgroup.kill" ] || echo 1 >"$GROUPS_DIR/cgroup.kill"
	for _ in {1..100}; do
		rmdir "$GROUPS_DIR"/in/* "$GROUPS_DIR"/* "$GROUPS_DIR" 2>/dev/null || true
		[ -e "$GROUPS_DIR" ] || break
		sleep 0.05
	done
	rm -rf "$WORK"
	exit "$status"
}

# The kernel rewrites its own code when the first BPF program is attached to a control group or
# the last one goes, and when the first socket wants time stamps. QEMU may run an instruction that
# another processor has just rewritten, and the machine oopses ("int3", seen on plain TCP, too). So in
# an emulated machine these switches are held: once, before there is traffic.
hold_switches() {
	local name type

	mkdir -p "$CGROUPS/hold"
	for name in detect:sock_ops guard:setsockopt; do
		type=${name#*:} name=${name%:*}
		bpftool prog loadall "$BUILD/bpf/$name.bpf.o" "/sys/fs/bpf/hold-$name"
		bpftool cgroup attach "$CGROUPS/hold" "$type" pinned "/sys/fs/bpf/hold-$name/$name"
	done
	python3 -c "
import signal, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, 29, 1)  # SO_TIMESTAMP
signal.pause()" &
	sleep 1
}

start_host() {
	trap stop_all EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	mkdir -p "$GROUPS_DIR/in" "$GROUPS_DIR/out"
	mount -t tmpfs none /run
	mkdir /run/netns
	mount -t bpf bpf /sys/fs/bpf
	[ "$(hostname)" != pipedevice-vm ] || hold_switches
	ip link set lo up
	sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	watch_kernel "$TAG"
	echo "# seed $SEED"
}

# wait_for SECONDS CMD...: until CMD succeeds.
wait_for() {
	local end=$((${EPOCHREALTIME/./} + $1 * PATIENCE * 1000000))
	shift

	until "$@" >"$WORK/wait.log" 2>&1; do
		if [ "${EPOCHREALTIME/./}" -gt "$end" ]; then
			echo "'$*' did not succeed in time:"
			cat "$WORK/wait.log"
			return 1
		fi
		sleep 0.02
	done
}

# ---- the network -------------------------------------------------------------

# add_bridge NAME [ADDRESS/LEN...]
add_bridge() {
	local bridge=$1
	shift

	ip link add "$bridge" type bridge
	ip link set "$bridge" up
	add_addresses "" "$bridge" "$@"
}

# add_addresses NS LINK ADDRESS/LEN...; NS may be empty.
add_addresses() {
	local netns=() link=$2 address
	[ -z "$1" ] || netns=(-n "$1")
	shift 2

	for address; do
		if [[ $address == *:* ]]; then
			ip "${netns[@]}" addr add "$address" dev "$link" nodad
		else
			ip "${netns[@]}" addr add "$address" dev "$link"
		fi
	done
}

# A bridge that is not there yet is made.
add_ns() {
	local ns=$1 bridge=$2
	shift 2

	ip link show "$bridge" >/dev/null 2>&1 || add_bridge "$bridge"
	ip netns add "$ns"
	ip link add "$ns" type veth peer name eth0 netns "$ns"
	ip link set "$ns" master "$bridge" up
	ip -n "$ns" link set lo up
	add_addresses "$ns" eth0 "$@"
	ip -n "$ns" link set eth0 up
	in_ns "$ns" sysctl -qw net.ipv4.ip_local_port_range="1024 65535" \
		net.core.somaxconn=16384 net.ipv4.tcp_max_syn_backlog=16384
}

in_ns() {
	local ns=$1
	shift

	nsenter --net="/run/netns/$ns" "$@"
}

# ---- pdload ------------------------------------------------------------------

# With dma the channels of tests/kmod, or those of the machine, copy all that they can.
up() {
	[ "$ENGINE" != dma ] || [ -d /sys/class/dma/dma0chan0 ] || modprobe pd_test_dma || return 1
	"$PDLOAD" up --cgroup "/$TAG/in" --engine "$ENGINE" "$@" || return
	[ "$ENGINE" != dma ] || "$PDLOAD" engines --threshold 4096
}

# What follows is about the kernel's own redirection, or about the module.
is_sockmap() {
	[ "$ENGINE" = sockmap ]
}

down() {
	"$PDLOAD" down --drain 20
}

status() {
	"$PDLOAD" status --json | jq -r ".$1"
}

# before: keep the counters; since FIELD: what has been added to one.
before() {
	"$PDLOAD" status --json >"$WORK/before.json"
}

since() {
	echo $(($(status "$1") - $(jq -r ".$1" "$WORK/before.json")))
}

# conns_with FILTER: how many connections fulfil it, as jq says it.
conns_with() {
	"$PDLOAD" conns --json | jq "[.[] | select($1)] | length"
}

# is NUMBER -OP NUMBER, with the numbers in the message.
is() {
	echo "$1 $2 $3?"
	test "$1" "$2" "$3"
}

# ---- traffic -----------------------------------------------------------------

# spawn KEY NS GROUP CMD...; NS "-" is the host. Output in $WORK/KEY.out and .err.
spawn() {
	local key=$1 ns=/run/netns/$2 group=$GROUPS_DIR/$3/cgroup.procs
	[ "$2" != - ] || ns=/proc/$$/ns/net
	shift 3

	rm -f "$WORK/$key.out"
	# shellcheck disable=SC2016  # for the inner shell
	nsenter --net="$ns" sh -c 'echo 0 >"$0" && exec "$@"' "$group" "$@" \
		>"$WORK/$key.out" 2>"$WORK/$key.err" </dev/null &
	PID[$key]=$!
}

serve() {
	local key=$1 ns=$2 group=$3 address=$4
	shift 4

	spawn "$key" "$ns" "$group" "$TRAFFIC" server --listen "$address" "$@"
	event "$key" listening 10 || return 1
	# shellcheck disable=SC2034  # for the tests
	PORT[$key]=$(jq -r 'select(.event == "listening").port' "$WORK/$key.out")
}

connect() {
	local key=$1 ns=$2 group=$3 address=$4
	shift 4

	spawn "$key" "$ns" "$group" "$TRAFFIC" client --connect "$address" --seed "$SEED" "$@"
	event "$key" started 10
}

# event KEY NAME SECONDS: wait until it has printed that; fails at once if it ended.
event() {
	local end=$((${EPOCHREALTIME/./} + $3 * PATIENCE * 1000000))

	until grep -qs "\"event\": \"$2\"" "$WORK/$1.out"; do
		if ! kill -0 "${PID[$1]}" 2>/dev/null || [ "${EPOCHREALTIME/./}" -gt "$end" ]; then
			grep -qs "\"event\": \"$2\"" "$WORK/$1.out" && return 0
			echo "no \"$2\" from $1:"
			tail -n 30 "$WORK/$1.err" "$WORK/$1.out"
			return 1
		fi
		sleep 0.02
	done
}

tell() {
	kill "-$2" "${PID[$1]}"
}

# Programs have time limits of their own, so this is bounded.
ended() {
	local key status=0

	for key; do
		if ! wait "${PID[$key]}"; then
			status=1
			echo "$key failed:"
			tail -n 30 "$WORK/$key.err" "$WORK/$key.out"
		fi
	done
	return "$status"
}

# hold COUNT [ARG...]: from the client's namespace to the server's; ARGs are for both ends.
hold() {
	local count=$1
	shift

	serve server server in 10.1.0.2:0 "$@" || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --mix rr --hold \
		--connections "$count" "$@" &&
		event client ready 120
}

end_traffic() {
	tell client TERM
	ended client || return 1
	tell server TERM
	ended server
}

# What an end knows of its connections when the other has given up; ends it.
show_end() {
	tell "$1" USR2 2>/dev/null || true
	wait_for 2 grep -q . "$WORK/$1.err" || true
	tail -n 30 "$WORK/$1.err"
	tell "$1" KILL 2>/dev/null || true
}

# What is rare and tells why a connection broke, of each namespace.
show_counters() {
	local ns

	for ns; do
		echo "counters of $ns:"
		in_ns "$ns" nstat -asz | awk '$2 > 0 &&
			/Rst|Reset|Abort|Drop|Overflow|Prune|Fail|Cookie|Retrans|Timeout|Challenge|PAWS|TW|Orphan/ {
				printf "%s %s, ", $1, $2 }'
		echo
	done
}

done_of() {
	jq -r "select(.event == \"done\").$2" "$WORK/$1.out"
}

# What both have sent since before is what was counted.
bytes_counted() {
	is $(($(since redirected_bytes) + $(since tcp_bytes))) -eq \
		$(($(done_of client sent) + $(done_of server sent)))
}

# One client against one server until both have ended well, and agree.
# exchange CLIENT_NS CLIENT_GROUP SERVER_NS SERVER_GROUP LISTEN CONNECT [SERVER_ARG...] -- ARG...
# CONNECT may have the word PORT for the server's port.
exchange() {
	local ns=$1 group=$2 server_ns=$3 server_group=$4 listen=$5 connect=$6 args=()
	shift 6

	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	serve server "$server_ns" "$server_group" "$listen" "${args[@]}" || return 1
	connect client "$ns" "$group" "${connect/PORT/${PORT[server]}}" "$@"
	if ! ended client; then
		show_end server
		show_counters "$ns" "$server_ns"
		return 1
	fi
	tell server TERM
	ended server || return 1
	is "$(done_of server started)" -eq "$(done_of client started)"
}
