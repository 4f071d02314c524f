# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests with real programs share: a client and a server namespace
# joined by a bridge in a "host" of the run's own, with its own bpffs and control
# group, so that runs side by side do not meet; steps under a time limit; TAP.
#
# A test defines `workload MODE`, which runs the programs and leaves in
# $WORK/MODE.* what must not depend on how the bytes travel, calls
# compare_modes, and ends with finish.
#
# Environment, for emulated machines (tests/vm-long/programs.sh):
#     ENGINE     cpu where the module can be loaded (default: sockmap)
#     SMALLER    what share divides amounts by (default: 1)
#     PATIENCE   what time limits are multiplied by (default: 1)

# shellcheck source=tools/demo/namespaces.bash
. tools/demo/namespaces.bash
# shellcheck source=tests/tap.bash
. tests/tap.bash

PDLOAD=$(realpath "${PDLOAD:-build/pdload}")
NAME=$(basename "$0" .sh)
# What runs in the namespaces starts in /.
# shellcheck disable=SC2034
HERE=$(pwd)/tests/programs
TAG=pipedevice-$NAME-$$
SERVER=10.77.0.2
CLIENT=10.77.0.3
ENGINE=${ENGINE:-sockmap}
UP=(--all) # what `pdload up` is to accelerate
PATIENCE=${PATIENCE:-1}

stop_all() {
	local status=$?

	trap '' INT TERM
	trap - EXIT
	namespaces_stop
	exit "$status"
}

# The "host", the control groups /TAG/server and /TAG/client, bpffs.
setup_host() {
	trap stop_all EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	namespaces_start "$TAG"
	WORK=$NAMESPACES_DIR
	chmod 755 "$WORK"
	mkdir -p "$CGROUPS/$TAG/server" "$CGROUPS/$TAG/client"
	namespaces_run mount -t bpf bpf /sys/fs/bpf
	watch_kernel "$TAG"
}

# Two namespaces, one veth each into a bridge.
setup_pair() {
	namespaces_run ip link add bridge type bridge
	namespaces_run ip link set bridge up
	setup_end server "$SERVER"
	setup_end client "$CLIENT"
}

setup_end() {
	namespaces_run ip netns add "$1"
	namespaces_run ip link add "$1" type veth peer name eth0 netns "$1"
	namespaces_run ip link set "$1" master bridge up
	namespaces_run ip -n "$1" addr add "$2/24" dev eth0
	namespaces_run ip -n "$1" link set lo up
	namespaces_run ip -n "$1" link set eth0 up
}

# on END CMD...: in the network namespace and the control group of that end.
on() {
	local end=$1
	shift

	# shellcheck disable=SC2016  # for the inner shell
	namespaces_run nsenter --net="/run/netns/$end" \
		sh -c 'echo 0 >"$0" && exec "$@"' "$CGROUPS/$TAG/$end/cgroup.procs" "$@"
}

# Start CMD... on END in the background, its output in $WORK/NAME.log.
start() {
	local name=$1 end=$2
	shift 2

	on "$end" "$@" >"$WORK/$name.log" 2>&1 </dev/null &
	disown $!
}

# share AMOUNT: what of it this machine is asked to do.
share() {
	local amount=$(($1 / ${SMALLER:-1}))

	echo $((amount > 0 ? amount : 1))
}

# Wait until CMD... succeeds, 10 s at most.
wait_for() {
	local end=$((SECONDS + 10 * PATIENCE))

	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -gt "$end" ]; then
			echo "# '$*' did not succeed within $((10 * PATIENCE)) s"
			return 1
		fi
		sleep 0.1
	done
}

# listening PORT [ADDRESS]: something accepts connections there.
listening() {
	on server bash -c ": </dev/tcp/${2:-$SERVER}/$1"
}

# Where every process of the test is, for a step that did not end.
show_stacks() {
	local procs pid

	for procs in "$CGROUPS/$TAG"/*/cgroup.procs; do
		while read -r pid; do
			echo "# process $pid ($(cat "/proc/$pid/comm")) waits in $(cat "/proc/$pid/wchan"):"
			sed 's/^/#   /' "/proc/$pid/stack"
		done <"$procs" 2>/dev/null
	done
	namespaces_run nsenter --net=/run/netns/server ss -tnmo 2>/dev/null | sed 's/^/# /'
	namespaces_run "$PDLOAD" conns 2>&1 | sed 's/^/# /'
}

# bounded SECONDS CMD...: a step that takes longer has hung, and fails.
bounded() {
	local seconds=$(($1 * PATIENCE)) end pid
	shift

	"$@" <&0 & # without the redirection it would read /dev/null
	pid=$!
	end=$((SECONDS + seconds + 1))
	while [ "$SECONDS" -lt "$end" ]; do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	if kill -0 "$pid" 2>/dev/null; then
		echo "# '$*' has not ended after $seconds s"
		show_stacks
		kill "$pid"
		wait "$pid" 2>/dev/null || true
		return 124
	fi
	wait "$pid"
}

# A number of `pdload status --json`: counter redirected_bytes.
counter() {
	namespaces_run "$PDLOAD" status --json | jq ".$1"
}

# Bytes that the module has moved since it was loaded.
module_bytes() {
	awk '/^(Cpu|Dma)Bytes / { sum += $2 } END { print sum }' /proc/pipedevice_stat
}

same_results() {
	local file differs=0

	[ -n "$(compgen -G "$WORK/plain.result.*")" ] || return 1
	for file in "$WORK"/plain.result.*; do
		cmp "$file" "${file/plain.result/accelerated.result}" || differs=1
	done
	return "$differs"
}

# With dma the channels of tests/kmod, or those of the machine, copy all that they can.
bring_up() {
	[ "$ENGINE" != dma ] || [ -d /sys/class/dma/dma0chan0 ] || modprobe pd_test_dma || return 1
	namespaces_run "$PDLOAD" up "${UP[@]}" --engine "$ENGINE" --cgroup "/$TAG" || return
	[ "$ENGINE" != dma ] || namespaces_run "$PDLOAD" engines --threshold 4096
}

# Run the workload on plain TCP and accelerated; both must succeed and leave the
# same results. $1: what the programs do, as part of a sentence.
compare_modes() {
	local what=$1 mode redirected

	for mode in plain accelerated; do
		if [ "$mode" = accelerated ]; then
			check "pdload up accelerates everything in the control group of the test" \
				bring_up
		fi
		check "$what, $mode" workload "$mode"
	done
	check "the results of the accelerated run equal those of the plain run" same_results
	redirected=$(counter redirected_bytes) || redirected=0
	echo "# redirected $redirected bytes, $(counter tcp_bytes) over TCP, in $(counter accelerated) connections"
	check "at least ${MIN_REDIRECTED:-1000000} bytes were redirected" \
		[ "$redirected" -ge "${MIN_REDIRECTED:-1000000}" ]
	if [ "$ENGINE" != sockmap ]; then
		check "the module moved all of them" [ "$(module_bytes)" -ge "$redirected" ]
	fi
}

# Take it down under the programs' open connections, if there are any.
check_down() {
	check "pdload down succeeds" namespaces_run "$PDLOAD" down --drain 10
}
