#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/bench/paper/mpi.sh TIMES RANKS...   runs in a machine of tools/vm/run.sh
#
# OpenMPI's allreduce over its TCP transport, each rank in a network namespace of its own on one
# bridge: on plain TCP and with pdload up --engine cpu, taking turns, TIMES each. Of each it
# prints a line:
#
#     row ENGINE RANKS BYTES NS BY_CPU OF
#
# NS is the time of one allreduce, the median of ROUNDS, BY_CPU how many bytes the module carried, all in all, and
# OF how many the ranks have sent each other, but for what OpenMPI says itself.
set -euo pipefail

HERE=$(realpath "$(dirname "$0")")
BUILD=$(realpath "${BUILD:-build}")
BYTES=4194304
ROUNDS=11
WARM=2 # as allreduce.c has it
SECONDS_EACH=120

make_bridge() {
	local rank

	mkdir -p /run/netns
	ip link add ring type bridge
	ip address add 10.10.0.254/24 dev ring
	ip link set ring up
	for rank; do
		ip netns add "rank$rank"
		ip link add "port$rank" type veth peer name "rank$rank" netns "rank$rank"
		ip link set "port$rank" master ring up
		ip -n "rank$rank" address add "10.10.0.$rank/24" dev "rank$rank"
		ip -n "rank$rank" link set "rank$rank" up
		ip -n "rank$rank" link set lo up
	done
}

# allreduce RANKS: round the ring. What the ranks have to tell mpirun goes over the bridge, too.
allreduce() {
	PMIX_MCA_ptl_base_if_include=ring timeout $SECONDS_EACH \
		mpirun --allow-run-as-root -np "$1" --oversubscribe --bind-to none \
		--mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include 10.10.0.0/24 --mca mpi_yield_when_idle 1 \
		--mca coll_tuned_use_dynamic_rules 1 --mca coll_tuned_allreduce_algorithm 4 \
		"$HERE/enter.sh" "$BUILD/paper/allreduce" $BYTES $ROUNDS
}

carried() {
	awk '$1 == "CpuBytes" { print $2 }' /proc/pipedevice_stat 2>/dev/null || echo 0
}

# count ENGINE RANKS
count() {
	local before ns

	[ "$1" = tcp ] || "$BUILD/pdload" up --engine "$1" --all >/tmp/up
	before=$(carried)
	ns=$(allreduce "$2")
	printf 'row\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" $BYTES "$ns" $(($(carried) - before)) \
		$((2 * ($2 - 1) * BYTES * (ROUNDS + WARM)))
	[ "$1" = tcp ] || "$BUILD/pdload" down >/tmp/down
}

times=$1
shift
make_bridge {1..8}
for ((i = 0; i < times; i++)); do
	for ranks; do
		for engine in tcp cpu; do
			count $engine "$ranks"
		done
	done
done
