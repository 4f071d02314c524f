#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# make bench: plain TCP over veth and a bridge, Unix sockets and the sockmap
# engine, measured in turns, natively. Writes build/bench/native.json,
# native.txt (the table) and native.svg.
#
#   BENCH_QUICK=1     fewer sizes, 3 short rounds: two or three minutes, rough figures
#   BENCH_ROUNDS=N    instead of 5 (3)
#   BENCH_TESTS=LIST  of rr stream redis nginx
#   BENCH_ENGINES=LIST  of tcp unix sockmap; tcp is measured in any case
set -euo pipefail
export LC_ALL=C

die() {
	echo "bench: $*" >&2
	exit 1
}

BUILD=${BUILD:-build}
BENCH=$(cd "$(dirname "$0")" && pwd)
TOOLS=$(realpath -m "$BUILD/tools/bench")
PDLOAD=$(realpath -m "${PDLOAD:-$BUILD/pdload}")
OUT=$(realpath -m "$BUILD/bench")
RAW=$OUT/raw.jsonl
QUICK=${BENCH_QUICK:-}
read -ra TESTS <<<"${BENCH_TESTS:-rr stream redis nginx}"
read -ra ENGINES <<<"${BENCH_ENGINES-unix sockmap}"
PLACEMENTS=(same_core two_cores)
PROGRAM_CONNECTIONS=16
if [ -n "$QUICK" ]; then
	ROUNDS=${BENCH_ROUNDS:-3} SECONDS_EACH=0.2 WARMUP=0.05
	RR_SIZES=(64 65536) STREAM_SIZES=(1024 65536 1048576) CONNECTIONS=(1 16)
	REDIS_SIZES=(64) REDIS_REQUESTS=20000
else
	ROUNDS=${BENCH_ROUNDS:-5} SECONDS_EACH=0.5 WARMUP=0.1
	RR_SIZES=(64 1024 16384 65536) STREAM_SIZES=(1024 4096 16384 65536 1048576) CONNECTIONS=(1 16 256)
	REDIS_SIZES=(64 16384) REDIS_REQUESTS=50000
fi
NGINX_SIZES=(1024 1048576)

for engine in "${ENGINES[@]}"; do
	[[ $engine =~ ^(tcp|unix|sockmap)$ ]] || die "BENCH_ENGINES names $engine: it may have tcp, unix and sockmap"
done
[[ " ${ENGINES[*]} " == *" tcp "* ]] || ENGINES=(tcp "${ENGINES[@]}")
[ "$(id -u)" -eq 0 ] || die "must be root: network namespaces and BPF programs need it"
if [ ! -x "$TOOLS/netbench" ] || [ ! -x "$TOOLS/pinned" ]; then
	die "$TOOLS/netbench and pinned are not built; run make bench"
fi
case " ${ENGINES[*]} " in *" sockmap "*) PD_WANTED=1 ;; *) PD_WANTED= ;; esac

# A file system of its own for BPF pins: whatever happens to this run, none of
# its programs outlives it. Programs that are up on the host would accelerate
# the plain half, too.
if [ -z "${BENCH_PRIVATE:-}" ]; then
	if [ -n "$PD_WANTED" ]; then
		[ -x "$PDLOAD" ] || die "$PDLOAD is not there; run make"
		if "$PDLOAD" status >/dev/null 2>&1; then
			die "pdload is up on this host and would accelerate the plain connections, too; run pdload down first"
		fi
	fi
	BENCH_PRIVATE=1 exec unshare --mount --propagation private "$0" "$@"
fi
mount -t bpf bpf /sys/fs/bpf || die "can't mount a BPF file system of its own on /sys/fs/bpf"

# shellcheck source=tools/bench/host.bash
. "$BENCH/host.bash"
# shellcheck source=tools/bench/measure.bash
. "$BENCH/measure.bash"
# shellcheck source=tools/bench/report.bash
. "$BENCH/report.bash"

# ---- progress --------------------------------------------------------------

DONE=0 TOTAL=0 STARTED=$SECONDS

# say TEXT: a line of its own, also on a terminal that shows progress.
say() {
	[ ! -t 2 ] || printf '\r\033[K' >&2
	printf 'bench: %s\n' "$1" >&2
}

progress() {
	local spent=$((SECONDS - STARTED)) left=

	DONE=$((DONE + 1))
	[ "$DONE" -lt 10 ] || left=", about $(((TOTAL - DONE) * spent / DONE + 1)) s left"
	if [ -t 2 ]; then
		printf '\r\033[Kround %d of %d: %s (%d %%%s)' "$ROUND" "$ROUNDS" "$1" $((DONE * 100 / TOTAL)) "$left" >&2
	elif [ $((DONE % 50)) -eq 1 ]; then
		printf 'round %d of %d: %s (%d %%%s)\n' "$ROUND" "$ROUNDS" "$1" $((DONE * 100 / TOTAL)) "$left" >&2
	fi
}

# ---- order -----------------------------------------------------------------

has_test() { case " ${TESTS[*]} " in *" $1 "*) ;; *) return 1 ;; esac; }

# One line a point: everything that all engines are measured at.
points() {
	local size connections placement

	for placement in "${PLACEMENTS[@]}"; do
		for connections in "${CONNECTIONS[@]}"; do
			if has_test rr; then
				for size in "${RR_SIZES[@]}"; do echo "rr $size $connections $placement"; done
			fi
			if has_test stream; then
				for size in "${STREAM_SIZES[@]}"; do echo "stream $size $connections $placement"; done
			fi
		done
		if has_test redis; then
			for size in "${REDIS_SIZES[@]}"; do
				# SET first: it leaves the value that GET asks for.
				echo "redis $size $PROGRAM_CONNECTIONS $placement SET"
				echo "redis $size $PROGRAM_CONNECTIONS $placement GET"
			done
		fi
		if has_test nginx; then
			for size in "${NGINX_SIZES[@]}"; do echo "nginx $size $PROGRAM_CONNECTIONS $placement"; done
		fi
	done
}

# measure ENGINE TEST SIZE CONNECTIONS PLACEMENT [OPERATION]
measure() {
	progress "$2 $3 bytes x$4, $5, $1"
	case $2 in
	rr | stream) measure_netbench "$2" "$3" "$4" "$5" "$1" ;;
	redis) measure_redis "$3" "$4" "$5" "$1" "$6" "$REDIS_REQUESTS" ;;
	nginx) # wrk knows no Unix sockets
		[ "$1" = unix ] || measure_nginx "$3" "$4" "$5" "$1"
		;;
	esac
}

# The engines take turns at each point, and each round begins with another one.
round() {
	local point i

	for point in "${POINTS[@]}"; do
		for ((i = 0; i < ${#ENGINES[@]}; i++)); do
			# shellcheck disable=SC2086  # a point is words
			measure "${ENGINES[(i + ROUND) % ${#ENGINES[@]}]}" $point
		done
	done
}

servers_up() {
	local engine

	for engine in "${ENGINES[@]}"; do
		netbench_serve "$engine"
		netbench_answers "$engine"
		[ "$engine" != unix ] || continue
		! has_test redis || redis_serve "$engine"
		! has_test nginx || nginx_serve "$engine"
	done
}

# shellcheck disable=SC2329  # called by the trap
cleanup() {
	local status=$?

	trap - EXIT INT TERM
	set +e
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ -n "$PD_UP" ]; then
		"$PDLOAD" down --drain 5 >/dev/null 2>&1
	fi
	host_down
	exit "$status"
}

PD_UP=
mkdir -p "$OUT"
: >"$RAW"
read -r CPU_CLIENT CPU_SERVER < <("$TOOLS/pinned" cpus) || die "bench needs two CPUs"
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
host_up
FOREIGN=$("$TOOLS/pinned" run "$CPU_CLIENT" "$CPU_SERVER" "$WORK/busy" sleep 1 && jq '.busy_cpu_s / .seconds / 2 * 100 | round' "$WORK/busy")
[ "$FOREIGN" -lt 5 ] || say "other programs use $FOREIGN % of CPUs $CPU_CLIENT and $CPU_SERVER: figures will be too low and scattered, CPU times too high"
if [ -n "$PD_WANTED" ]; then
	"$PDLOAD" up --all --cgroup "$CGROUP/accelerated" >"$WORK/up.log" 2>&1 ||
		die "pdload up failed: $(tail -n 1 "$WORK/up.log")"
	PD_UP=1
fi
servers_up
mapfile -t POINTS < <(points)
TOTAL=$((${#POINTS[@]} * ${#ENGINES[@]} * ROUNDS))
for ((ROUND = 1; ROUND <= ROUNDS; ROUND++)); do
	round
done
[ ! -t 2 ] || printf '\r\033[K' >&2
report | tee "$OUT/native.txt"
[ "$ERRORS" -eq 0 ] || die "$ERRORS of $TOTAL measurements failed; see above and $RAW"
