#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Two containers on a bridge, measured on plain TCP and then accelerated; one
# table. Leaves nothing behind, whatever ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."

# shellcheck source=tools/demo/namespaces.bash
. tools/demo/namespaces.bash
# shellcheck source=tools/demo/containers.bash
. tools/demo/containers.bash

PDLOAD=$(realpath "${PDLOAD:-build/pdload}")
RR=$(realpath "${BUILD:-build}/tools/demo/rr")
TAG=pipedevice-demo-$$
PINS=/sys/fs/bpf/pipedevice
SERVER=10.89.77.2
CLIENT=10.89.77.3
SECONDS_EACH=${DEMO_SECONDS:-2} # a whole number: roughly what each measurement takes
RATE=${DEMO_RATE:-50000}        # what redis is asked in one of them
PATIENCE=${DEMO_PATIENCE:-5}    # seconds until programs in their containers must have answered

results=
ours= # we have begun `pdload up`
step_pid=
servers=()

say() {
	printf '%s\n' "$*"
}

die() {
	echo "demo: $*" >&2
	exit 1
}

# Run a command so that a signal ends the demo at once, not after it.
step() {
	"$@" &
	step_pid=$!
	wait "$step_pid" || {
		local status=$?
		step_pid=
		return "$status"
	}
	step_pid=
}

cleanup() {
	local status=$?
	local left=

	trap '' HUP INT PIPE TERM
	trap - EXIT
	set +e
	# A signal may come while the output of a step goes to a file.
	exec 1>&"$out"
	exec 2>&"$err"
	namespaces_stop
	if [ -n "$step_pid" ]; then
		# Half of `pdload up` or `down` would be neither: let it end.
		[ -n "$ours" ] || kill "$step_pid" 2>/dev/null
		wait "$step_pid" 2>/dev/null
	fi
	if [ -n "$ours" ] && [ -d "$PINS" ]; then
		"$PDLOAD" down --drain 5
	fi
	[ -z "$results" ] || rm -rf "$results"
	left=$(
		namespaces_left
		[ -z "$ours" ] || [ ! -e "$PINS" ] || echo "pins $PINS"
		[ ! -e "$results" ] || echo "directory $results"
	)
	if [ -n "$left" ]; then
		echo "demo: left behind: $left" >&2
		status=1
	elif [ -n "$NAMESPACES_TAG" ]; then
		say "Left behind: nothing (no container, process, namespace, bridge, cgroup, pin or mount)."
	fi
	exit "$status"
}

# Two allowed CPUs of one NUMA node, in different cores where there are such;
# the same one twice on a machine with one.
choose_cpus() {
	local allowed node cpus cpu core first='' first_core=''

	allowed=" $(numactl --show | sed -n 's/^physcpubind: *//p') "
	while read -r cpus; do
		node=()
		for cpu in $cpus; do
			[[ $allowed != *" $cpu "* ]] || node+=("$cpu")
		done
		[ "${#node[@]}" -ge 2 ] || continue
		first=${node[0]}
		first_core=$(cat "/sys/devices/system/cpu/cpu$first/topology/core_id")
		for cpu in "${node[@]:1}"; do
			core=$(cat "/sys/devices/system/cpu/cpu$cpu/topology/core_id")
			[ "$core" = "$first_core" ] || break
		done
		echo "$first $cpu"
		return
	done < <(numactl --hardware | sed -n 's/^node [0-9]* cpus: //p')
	read -r first _ <<<"$allowed"
	echo "$first $first"
}

# CPU time of the containers and of the kernel's threads for packets, in
# microseconds: a packet is handled in either.
cpu_time() {
	local packets

	packets=$(pgrep ksoftirqd | sed 's|.*|/proc/&/schedstat|' | xargs -r cat |
		awk '{ sum += $1 } END { printf "%d\n", sum / 1000 }')
	echo $(($(containers_cpu) + packets))
}

# record NAME VALUE: a result of this pass.
record() {
	echo "$2" >"$results/$pass.$1"
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.9g", a / b }'
}

# Run the client CMD... on CPU $1 and leave its output in $results/out and
# the CPU seconds that it and its server took in $cpu.
run_client() {
	local core=$1 before
	shift

	before=$(cpu_time)
	step containers_exec client taskset -c "$core" "$@" >"$results/out" 2>"$results/err" || {
		cat "$results/err" >&2
		die "'$*' failed in the client's container"
	}
	cpu=$(awk -v us="$(($(cpu_time) - before))" 'BEGIN { printf "%.6f", us / 1e6 }')
}

# redis_benchmark NAME COMMAND BYTES REQUESTS CONNECTIONS
redis_benchmark() {
	local name=$1 bytes=$3 requests=$4 rate p50 p99

	run_client "$cpu_client" redis-benchmark -h "$SERVER" --csv -t "$2" -d "$bytes" -n "$requests" -c "$5"
	IFS=, read -r _ rate _ _ p50 _ p99 _ < <(tail -1 "$results/out" | tr -d '"')
	record "$name.rate" "$rate"
	record "$name.p50" "$(ratio "$p50" 0.001)"
	record "$name.p99" "$(ratio "$p99" 0.001)"
	record "$name.gb" "$(ratio "$(ratio "$bytes" 1e9)" "$(ratio 1 "$rate")")"
	record "$name.cpu" "$(ratio "$cpu" "$(ratio $((requests * bytes)) 1e9)")"
}

iperf() {
	local bytes seconds

	run_client "$cpu_client" iperf3 -c "$SERVER" -t "$SECONDS_EACH" -J
	bytes=$(jq .end.sum_received.bytes "$results/out")
	seconds=$(jq .end.sum_received.seconds "$results/out")
	record iperf.gb "$(ratio "$(ratio "$bytes" 1e9)" "$seconds")"
	record iperf.cpu "$(ratio "$cpu" "$(ratio "$bytes" 1e9)")"
}

# request_response NAME BYTES CPU
request_response() {
	local name=$1 size=$2 core=$3 exchanges rate p50 p99

	run_client "$core" rr client "$SERVER" 7000 "$size" "$SECONDS_EACH"
	read -r exchanges rate p50 p99 < <(sed 's/[a-z0-9_]*=//g' "$results/out")
	record "$name.rate" "$rate"
	record "$name.p50" "$p50"
	record "$name.p99" "$p99"
	record "$name.cpu" "$(ratio "$cpu" "$(ratio $((exchanges * size * 2)) 1e9)")"
}

measure() {
	pass=$1
	say "  redis-benchmark ..."
	# The key that redis-benchmark uses, as long as it says.
	containers_exec client redis-cli -h "$SERVER" set key:__rand_int__ "$(printf '%064d' 0)" >/dev/null
	redis_benchmark get get 64 $((SECONDS_EACH * RATE)) 50
	redis_benchmark set set 65536 $((SECONDS_EACH * RATE / 4)) 8
	say "  iperf3 ..."
	iperf
	say "  request/response ..."
	request_response rr64_one 64 "$cpu_server"
	request_response rr64k_one 65536 "$cpu_server"
	[ "$cpu_client" != "$cpu_server" ] || return 0
	request_response rr64_two 64 "$cpu_client"
	request_response rr64k_two 65536 "$cpu_client"
}

row() {
	local what=$1 name=$2 digits=$3 plain accelerated

	plain=$(cat "$results/plain.$name")
	accelerated=$(cat "$results/accelerated.$name")
	printf '  %-46s %12.*f %12.*f %7.2f\n' "$what" "$digits" "$plain" "$digits" "$accelerated" \
		"$(ratio "$accelerated" "$plain")"
}

table() {
	local name cpus="two CPUs" probes=("64_one 64 B, one CPU" "64k_one 64 KiB, one CPU")

	if [ "$cpu_client" = "$cpu_server" ]; then
		cpus="one CPU"
	else
		probes+=("64_two 64 B, two CPUs" "64k_two 64 KiB, two CPUs")
	fi

	printf '\n%-48s %12s %12s %7s\n' "test" "plain TCP" "accelerated" "ratio"
	say "redis-benchmark GET, 64 B values, 50 connections, $cpus"
	row "requests per second" get.rate 0
	row "latency p50, us" get.p50 0
	row "latency p99, us" get.p99 0
	say "redis-benchmark SET, 64 KiB values, 8 connections, $cpus"
	row "throughput, GB/s" set.gb 2
	row "latency p50, us" set.p50 0
	row "latency p99, us" set.p99 0
	row "CPU seconds per GB" set.cpu 3
	say "iperf3, one stream, $cpus"
	row "throughput, GB/s" iperf.gb 2
	row "CPU seconds per GB" iperf.cpu 3
	for name in "${probes[@]}"; do
		say "request/response, ${name#* }"
		name=rr${name%% *}
		row "exchanges per second" "$name.rate" 0
		row "latency p50, us" "$name.p50" 1
		row "latency p99, us" "$name.p99" 1
		row "CPU seconds per GB" "$name.cpu" 3
	done
	cat <<-END

		ratio = accelerated / plain TCP: more is better for rates and throughput, less for
		latency and CPU. Server on CPU $cpu_server, client on CPU $cpu_client ("one CPU": both on $cpu_server). CPU seconds
		are those of both containers' cgroups (cpu.stat) and of ksoftirqd; a GB is 10^9 bytes.
		Engine of the accelerated connections: $engine.
	END
	if is_emulated; then
		cat <<-END
			These are timings of an emulated machine: every instruction is executed by a program.
			They show that all of this runs over the module, not how fast it is on a real one.
		END
	fi
	say
}

# By tools/vm/run.sh.
is_emulated() {
	[ "$(hostname)" = pipedevice-vm ]
}

start_servers() {
	containers_run server "$SERVER" -v "$RR:/usr/local/bin/rr:ro" -- \
		taskset -c "$cpu_server" redis-server --save '' --bind 0.0.0.0 --protected-mode no
	containers_run client "$CLIENT" -v "$RR:/usr/local/bin/rr:ro" -- sleep infinity
	containers_exec server taskset -c "$cpu_server" iperf3 -s >/dev/null 2>&1 &
	servers+=($!)
	containers_exec server taskset -c "$cpu_server" rr server 7000 >/dev/null 2>&1 &
	servers+=($!)
	wait_for "redis-server" containers_exec client redis-cli -h "$SERVER" ping
	wait_for "iperf3" containers_exec client bash -c ": </dev/tcp/$SERVER/5201"
	wait_for "the request/response server" containers_exec client bash -c ": </dev/tcp/$SERVER/7000"
}

# until_true CMD...: wait until it succeeds.
until_true() {
	local end=$((SECONDS + PATIENCE))

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.1
	done
}

wait_for() {
	local what=$1
	shift

	until_true "$@" || die "$what did not answer in its container within $PATIENCE s"
}

write_policy() {
	cat >"$results/policy.yaml" <<-END
		version: 1
		default: bypass
		rules:
		  - name: demo
		    action: accelerate
		    client: {cgroup: "/$TAG/**"}
		    server: {cgroup: "/$TAG/**"}
	END
}

# What pdload says of connections that live at this moment: two of redis, two of
# iperf3 (the first for control), one of the probe.
show_connections() {
	local pids=()

	containers_exec client redis-benchmark -h "$SERVER" -t get -d 64 -c 2 -n 100000000 >/dev/null 2>&1 &
	pids+=($!)
	containers_exec client iperf3 -c "$SERVER" -t 60 >/dev/null 2>&1 &
	pids+=($!)
	containers_exec client rr client "$SERVER" 7000 64 60 >/dev/null 2>&1 &
	pids+=($!)
	# They end with their containers.
	disown "${pids[@]}"
	until_true five_are_accelerated || true
	cat "$results/conns"
	five_accelerated_are_shown || die "5 connections should be accelerated: \`pdload status\` says why not"
}

five_are_accelerated() {
	namespaces_run "$PDLOAD" conns >"$results/conns" && five_accelerated_are_shown
}

five_accelerated_are_shown() {
	[ "$(grep -c "$SERVER.* redirected " "$results/conns")" -ge 5 ]
}

[ "$(id -u)" -eq 0 ] || die "must be root: containers and BPF programs need it"
[ -x "$PDLOAD" ] || die "$PDLOAD is not there: run \`make demo\`"
if [ -e "$PINS" ]; then
	die "pdload is up on this machine, and the demo would take it down: run \`pdload down\` first"
fi

exec {out}>&1 {err}>&2
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

results=$(mktemp -d "/tmp/$TAG.results.XXXXXX")
read -r cpu_server cpu_client < <(choose_cpus)
step tools/rootfs.sh >"$results/rootfs"
say "Starting two containers on a bridge network, on Linux $(uname -r)."
namespaces_start "$TAG"
containers_start "$(cat "$results/rootfs")"
start_servers
disown "${servers[@]}"

say "Plain TCP:"
measure plain

say "pdload up, with a policy that names the two containers:"
write_policy
ours=yes
step "$PDLOAD" up --policy "$results/policy.yaml" || {
	[ "$?" -gt 128 ] || ours=
	die "pdload up failed: see above"
}
engine=$("$PDLOAD" status --json | jq -r .engine)
if [ "$engine" = sockmap ]; then
	say "The module can't be used here, for the reason above: what follows is the kernel's own redirect."
	say "\`make demo-vm\` shows the module, in an emulated machine."
fi
say "Accelerated:"
measure accelerated

table
say "pdload conns, while the three run again:"
show_connections
say "pdload down:"
namespaces_stop
step "$PDLOAD" down
