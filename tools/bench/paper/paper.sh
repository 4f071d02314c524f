#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/bench/paper/paper.sh [sizes|connections|ring|mpi]...
#
# make paper-figures: the figures of the paper from our own runs, in build/paper/, each a picture
# (.svg) with its rows (.json) beside it:
#
#     sizes         CPU per byte against the size of messages
#     connections   CPU per byte and completed bytes against the number of connections
#     allreduce     the picture of ring, our own program, and mpi, OpenMPI
#
# CPU is instructions, counted on the machine of tools/vm/arm64.sh; mpi is timed on that of
# tools/vm/run.sh. With names only those are run. Other points than the usual ones:
# SIZES="64 65536", CONNECTIONS="1 16", RANKS="2 8", MPI_RANKS="2", MPI_TIMES=5.
set -euo pipefail
export LC_ALL=C

export BUILD
BUILD=$(realpath -m "${BUILD:-build}")
HERE=$(realpath "$(dirname "$0")")
TOP=$(realpath "$HERE/../../..")
OUT=$BUILD/paper
read -r -a MPI_RANKS <<<"${MPI_RANKS:-2 4 8}"
POINTS=(${SIZES:+"SIZES=$SIZES"} ${CONNECTIONS:+"CONNECTIONS=$CONNECTIONS"} ${RANKS:+"RANKS=$RANKS"})
INSN="Counted: instructions of all programs and the kernel, not cycles (a cache miss costs nothing), on an emulated arm64 machine"

die() {
	echo "paper-figures: $*" >&2
	exit 1
}

say() {
	printf '%(%H:%M:%S)T  %s\n' -1 "$*" >&2
}

build() {
	"$TOP/tools/bench/insn/insn.sh" --build
	"$TOP/tools/vm/cross.sh" arm64 -s "$BUILD/arm64/streams" "$BUILD/arm64/ring"
	module=$("$TOP/tools/vm/module.sh" 6.12 "$TOP/kmod" arm64 2>/dev/null)
	driver=$("$TOP/tools/vm/module.sh" 6.12 "$("$TOP/tools/vm/zdma.sh")" arm64 2>/dev/null | grep zynqmp_dma)
	"$TOP/tools/vm/module.sh" 6.12 >/dev/null 2>&1 || die "the module does not build: see tools/vm/module.sh 6.12"
	rm -rf "$OUT/root"
	mkdir -p "$OUT/root/usr/bin"
	cp "$BUILD/arm64/streams" "$BUILD/arm64/ring" "$OUT/root/usr/bin/"
	aarch64-linux-gnu-strip "$OUT"/root/usr/bin/*
	cp "$HERE/guest" "$OUT/root/usr/bin/paper"
	linux=$(ls "$("$TOP/tools/vm/kernel.sh" 6.12 arm64)/lib/modules")
}

# Keeps what the machine prints, and shows that it goes on.
keep() {
	local line rows=0

	while IFS= read -r line; do
		echo "$line"
		[[ $line != row* ]] || ((++rows % 5)) || say "$1: $rows rows"
	done >"$OUT/$1.log"
}

# count FIGURE ENGINE...: on the machine that counts.
count() {
	say "$1: counting"
	VM_SECONDS=900 "$TOP/tools/vm/arm64.sh" --count --with veth --with bridge "$BUILD/arm64/root" "$OUT/root" \
		"$module" "$driver" -- env "${POINTS[@]}" paper "$@" | keep "$1" || {
		tail -n 70 "$OUT/$1.log" >&2
		die "the machine of $1 failed"
	}
}

time_mpi() {
	say "mpi: timing"
	mpicc -O2 -Wall -o "$OUT/allreduce" "$HERE/allreduce.c"
	(cd "$TOP" && VM_SECONDS=1800 tools/vm/run.sh 6.12 "$HERE/mpi.sh" "${MPI_TIMES:-5}" "${MPI_RANKS[@]}") | keep mpi || {
		tail -n 70 "$OUT/mpi.log" >&2
		die "the machine of mpi failed"
	}
}

run() {
	case $1 in
	sizes) count sizes tcp unix sockmap cpu dma auto ;;
	connections) count connections tcp cpu dma ;;
	ring) count ring tcp sockmap cpu dma auto ;;
	mpi) time_mpi ;;
	esac
	jq -R -s --arg figure "$1" -f "$HERE/report.jq" "$OUT/$1.log" >"$OUT/$1.json"
}

# rows FIGURE FILTER FILE: as gnuplot reads them; it complains of a file that is empty.
rows() {
	jq -r "[.[] | select($2)] | if . == [] then [{}] else . end | .[] | $3 | map(. // \"NaN\") | @tsv" "$OUT/$1.json"
}

draw_sizes() {
	local pages engine

	for engine in tcp unix sockmap cpu dma auto; do
		for pages in pages huge; do
			rows sizes ".engine == \"$engine\" and .buffers == \"$pages\"" '[.size, .insn_per_byte, .ratio_to_tcp]' >"$data/$pages-$engine.tsv"
		done
	done
	plot sizes "" "CPU per byte against the size of messages" "$INSN" \
		"(one CPU, Linux $linux, eight ZDMA channels). One connection, read with 64 KiB buffers." \
		"dma: all messages from 4096 bytes on, set by hand; auto: those for which the calibration found DMA faster"
}

draw_connections() {
	local engine top rate

	for engine in tcp cpu dma; do
		rows connections ".engine == \"$engine\"" '[.connections, .insn_per_byte, .bytes_per_machine_second]' >"$data/$engine.tsv"
	done
	top=$(jq '[.[].insn_per_byte // 0] | max' "$OUT/connections.json")
	rate=$(jq '[.[].bytes_per_machine_second // 0] | max' "$OUT/connections.json")
	plot connections "top_cpu=$top; top_rate=$rate" \
		"CPU per byte and completed bytes against the number of connections" "$INSN" \
		"(one CPU, Linux $linux, eight ZDMA channels). Messages of 64 KiB in 4 KiB pages, over the connections in turn." \
		"The reader asks epoll. The machine's time is 1 ns an instruction, and none for what a DMA channel copies."
}

draw_allreduce() {
	local pages engine top

	for engine in sockmap cpu dma auto; do
		for pages in pages huge; do
			rows ring ".engine == \"$engine\" and .buffers == \"$pages\"" \
				'[.ranks, if .ratio_to_tcp then 1 / .ratio_to_tcp else null end]' >"$data/ring-$pages-$engine.tsv"
		done
	done
	rows mpi '.engine == "cpu"' '[.ranks, .speedup.median, .speedup.min, .speedup.max]' >"$data/mpi.tsv"
	top=$(jq -s '[.[][] | (.speedup.max // empty), (if .ratio_to_tcp then 1 / .ratio_to_tcp else empty end), 2.2] | max' \
		"$OUT/ring.json" "$OUT/mpi.json")
	plot allreduce "top=$top" "Ring allreduce of floats, over plain TCP through a bridge and accelerated" \
		"Left and middle. $INSN" \
		"(one CPU, Linux $linux, eight ZDMA channels). 4 MiB in each process, each in a network namespace of its own; the sums count, too." \
		"Right. Time of an allreduce of 4 MiB on an emulated x86-64 machine (two CPUs, Linux 6.12, no DMA channels:" \
		"an emulator's time, not a computer's); plain TCP and cpu took turns."
}

# plot NAME VARIABLES HEADING NOTE...: each note is a line.
plot() {
	local name=$1 variables=$2 title=$3 note

	shift 3
	for note; do
		title+="\\n{/*0.7 $note}"
	done
	gnuplot -e "here='$HERE'; data='$data'; out='$OUT/$name.svg'; title=\"$title\"; $variables" "$HERE/$name.gp"
}

draw() {
	data=$OUT/plot
	rm -rf "$data"
	mkdir "$data"
	"draw_$1"
	rm -rf "$data"
	pictures+=("$OUT/$1.svg")
}

# The table of a figure; whether all engines carried their payload.
report() {
	echo
	jq -r --arg figure "$1" -f "$HERE/table.jq" "$OUT/$1.json"
	jq -e 'length > 0 and all(.error == null)' "$OUT/$1.json" >/dev/null
}

# ------------------------------------------------------------------------------------------

for command in jq gnuplot mpicc mpirun; do
	command -v $command >/dev/null || die "$command is missing: run tools/deps.sh paper"
done
[ $# -gt 0 ] || set -- sizes connections ring mpi
for figure; do
	[[ $figure =~ ^(sizes|connections|ring|mpi)$ ]] || die "there is no figure $figure: sizes, connections, ring or mpi"
done
mkdir -p "$OUT"
say "building"
build
# What is timed has one CPU of the host, what is counted the other: nothing changes how much that is.
# In a group of its own it can be stopped.
mpi=
trap '[ -z "$mpi" ] || kill -- "-$mpi"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for figure; do
	[ "$figure" != mpi ] || {
		set -m
		run mpi &
		mpi=$!
		set +m
	}
done
for figure; do
	[ "$figure" = mpi ] || run "$figure"
done
if [ -n "$mpi" ]; then
	wait "$mpi" || {
		mpi=
		exit 1
	}
	mpi=
fi
{
	echo "$INSN"
	echo "(one CPU, Linux $linux, eight ZDMA channels). All bytes of a first pass were verified."
} >"$OUT/tables.txt"
wrong=()
for figure; do
	report "$figure" >>"$OUT/tables.txt" || wrong+=("$figure")
done
cat "$OUT/tables.txt"
pictures=()
for figure; do
	case $figure in
	sizes | connections) draw "$figure" ;;
	# The other half may be that of an earlier run.
	*) [[ " ${pictures[*]} " == *allreduce* || ! -e $OUT/ring.json || ! -e $OUT/mpi.json ]] || draw allreduce ;;
	esac
done
echo
printf 'Picture: %s\n' "${pictures[@]}"
echo "Rows: $OUT/*.json   Tables: $OUT/tables.txt"
[ "${#wrong[@]}" -eq 0 ] || die "not all engines carried their payload: see ERROR above in ${wrong[*]}"
