#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/bench/insn/insn.sh [ENGINE [TEST [SIZE [READER]]]]
# tools/bench/insn/insn.sh --profile ENGINE TEST SIZE READER
# tools/bench/insn/insn.sh --build   only builds what is to be counted
#
# make bench-insn: the instructions that a transfer takes, counted on the machine of
# tools/vm/arm64.sh, where they are the same each time. Writes build/bench/insn.json,
# insn.txt (the table) and insn.svg. With names in front (cpu rr 64 blocking; from the
# left) only those rows are counted, and printed.
#
# With IMAGE=N it is another image of the same machine, N from 1: where what runs there lies in memory, and
# so how the ends of a stream fall in step, is different.
#
# --profile says which functions executed those of one row: each instruction is seen, none
# is sampled. Writes build/bench/insn-profile.txt and, by block of code, insn-blocks.txt.
set -euo pipefail
export LC_ALL=C

export BUILD
BUILD=$(realpath -m "${BUILD:-build}")
HERE=$(realpath "$(dirname "$0")")
TOP=$(realpath "$HERE/../../..")
OUT=$BUILD/bench
ROOT=$BUILD/arm64/root
ROWS=$OUT/insn.log
# shellcheck source=tools/vm/root.bash
. "$TOP/tools/vm/root.bash"

die() {
	echo "bench-insn: $*" >&2
	exit 1
}

# ---- what the machine is made of ---------------------------------------------------

build() {
	sysroot=$("$TOP/tools/vm/sysroot.sh" arm64)
	"$TOP/tools/vm/cross.sh" arm64 -s "$BUILD/arm64/pdload" "$BUILD/arm64/insn"
	module=$("$TOP/tools/vm/module.sh" 6.12 "$TOP/kmod" arm64 2>"$OUT/module.log") || {
		tail "$OUT/module.log" >&2
		die "the module does not build"
	}
	driver=$("$TOP/tools/vm/module.sh" 6.12 "$("$TOP/tools/vm/zdma.sh")" arm64 2>"$OUT/module.log" | grep zynqmp_dma) || {
		tail "$OUT/module.log" >&2
		die "the driver of the DMA channels does not build"
	}
	make_root "$ROOT" "$sysroot" "$BUILD/arm64/pdload" "$BUILD/arm64/insn" "$sysroot/bin/ip"
	cp "$HERE/guest" "$ROOT/usr/bin/"
	aarch64-linux-gnu-strip "$ROOT"/usr/bin/{pdload,insn}
	[ -z "${IMAGE:-}" ] || head -c $((IMAGE * 70000)) /dev/zero >"$ROOT/image"
}

# run OPTION... -- COMMAND...: prints what the machine prints.
run() {
	VM_SECONDS=${VM_SECONDS:-540} "$TOP/tools/vm/arm64.sh" --count --with veth "$ROOT" "$module" "$driver" "$@"
}

# ---- a profile ------------------------------------------------------------------------

profile() {
	local operations

	make --no-print-directory -s -C "$TOP" BUILD="$BUILD" "$BUILD/profile.so"
	run --plugin "$BUILD/profile.so,out=$OUT/insn-blocks.txt" -- env PROFILE=1 BUFFERS="${BUFFERS:-pages}" guest "$@" >"$ROWS" || {
		grep -v ^function "$ROWS" >&2
		die "the machine failed"
	}
	operations=$(awk -F '\t' '$1 == "row" { print $7 }' "$ROWS")
	[[ $operations =~ ^[0-9]+$ ]] || die "--profile takes one row: cpu rr 64 blocking, for example"
	# By address, functions before what is in them.
	{
		awk -F '\t' '$1 == "function" { print $2, "function", $3 }' "$ROWS"
		cat "$OUT/insn-blocks.txt"
	} | sort -s -k 1,2 | awk -v operations="$operations" -f "$HERE/profile.awk" >"$OUT/insn-profile.txt"
	echo "instructions of $* by function, each of $operations operations"
	head -n 100 "$OUT/insn-profile.txt"
	echo "All: $OUT/insn-profile.txt   By block of code: $OUT/insn-blocks.txt"
}

# ---- figures ----------------------------------------------------------------------------

explain() {
	cat <<-TEXT
		PipeDevice, instructions executed: an emulated arm64 machine with one CPU, Linux $(ls "$("$TOP/tools/vm/kernel.sh" 6.12 arm64)/lib/modules")
		User space and kernel of both ends, in two network namespaces joined by a veth pair, each operation (stream: each
		message); all engines in one boot. They are instructions and not cycles: a cache miss, a barrier and an atomic
		operation that others contend for cost nothing here, and an idle CPU costs nothing.
		tcp      plain TCP           unix     Unix stream sockets
		sockmap  TCP sockets after pdload up --engine sockmap --all; cpu, dma: with that engine
		dma      with pdload engines --threshold 4K: it copies all it can on the eight channels of the machine's ZDMA
		auto     as dma, with the thresholds that pdload up has measured
		pages    buffers in ordinary pages of 4 KiB; huge: in huge ones
		rr: a message each way. stream: messages one way, read with 64 KiB buffers. life: connect, 64 B each way, close.
		blocking: recv(). epoll: level-triggered epoll_wait(), then recv() that does not wait. All bytes of a first pass
		were verified. The same build gives the same digits; another moves streams by up to 4 %, the others by 1 %.

	TEXT
}

# Ratios of one engine by size, for gnuplot, which complains of a file that is not there or is empty.
ratios_of() {
	jq -r --arg key "$*" '[.[] | select("\(.test) \(.reader) \(.buffers) \(.engine)" == $key) | "\(.size)\t\(.ratio_to_tcp // "NaN")"]
		| if . == [] then "NaN\tNaN" else .[] end' "$OUT/insn.json"
}

plot() {
	local data=$OUT/plot test reader engine

	rm -rf "$data"
	mkdir "$data"
	for engine in unix sockmap cpu dma auto; do
		for test in rr stream; do
			for reader in blocking epoll; do
				ratios_of $test $reader pages $engine >"$data/$test-$reader-$engine.tsv"
			done
			ratios_of $test blocking huge $engine >"$data/$test-huge-$engine.tsv"
		done
	done
	jq -r '.[] | select(.test == "life" and .engine != "tcp") | "\(.engine)\t\(.ratio_to_tcp // "NaN")"' \
		"$OUT/insn.json" >"$data/life.tsv"
	[ -s "$data/life.tsv" ] || printf 'none\tNaN\n' >"$data/life.tsv"
	printf '64\t0.48\n65536\t0.52\n' >"$data/rr-target.tsv"
	printf '1024\t0.20\n16384\t0.45\n65536\t0.47\n1048576\t0.57\n' >"$data/stream-target.tsv"
	printf '65536\t0.37\n1048576\t0.20\n' >"$data/stream-dma-target.tsv"
	printf '65536\t0.30\n1048576\t0.08\n' >"$data/stream-huge-target.tsv"
	gnuplot -e "data='$data'; out='$OUT/insn.svg'; note='emulated arm64, one CPU; instructions and not cycles'" "$HERE/plot.gp"
	rm -rf "$data"
}

report() {
	jq -R -s -f "$HERE/report.jq" "$ROWS" >"$OUT/insn.json"
	{
		explain
		jq -r -f "$HERE/table.jq" "$OUT/insn.json"
	} | tee "$OUT/insn.txt"
	plot
	echo
	echo "Figures: $OUT/insn.json   Picture: $OUT/insn.svg"
	jq -e 'length > 0 and all(.error == null)' "$OUT/insn.json" >/dev/null || die "rows have errors: see above"
}

# ------------------------------------------------------------------------------------------

for command in jq gnuplot readelf; do
	command -v $command >/dev/null || die "$command is missing: run tools/deps.sh arm64"
done
mkdir -p "$OUT"
if [ "${1:-}" = --build ]; then
	"$TOP/tools/vm/kernel.sh" 6.12 arm64 >/dev/null
	build
	exit
fi
if [ "${1:-}" = --profile ]; then
	[ $# -eq 5 ] || die "--profile takes one row: cpu rr 64 blocking, for example"
	shift
	build
	profile "$@"
	exit
fi
build
echo "counting, which takes about five minutes" >&2
run -- env ${BUFFERS:+"BUFFERS=$BUFFERS"} guest "$@" >"$ROWS" || {
	cat "$ROWS" >&2
	die "the machine failed"
}
if [ $# -gt 0 ]; then
	grep "^row" "$ROWS" | cut -f 2-
else
	report
fi
