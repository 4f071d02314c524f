# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What came out, sourced by bench.sh: native.json, native.svg, and on stdout a
# table with what it was measured on and how.

: "${RAW:=}" "${OUT:=}" "${BENCH:=}" "${ROUNDS:=}" "${SECONDS_EACH:=}" "${CPU_CLIENT:=}" "${CPU_SERVER:=}" "${FOREIGN:=}"

# Percent: with 2 all spreads were as usual, with 31 medians of two cores were off by a factor of three.
STOLEN_MUCH=10

machine() {
	local kind=machine

	! grep -qw hypervisor /proc/cpuinfo || kind="virtual machine"
	echo "$(nproc --all)-core $kind, Linux $(uname -r)"
}

explain() {
	local stolen

	stolen=$(jq -s '(map(select(.metric == "stolen").value) | add // 0) as $stolen
		| (map(select(.metric == "seconds").value) | add // 1) as $seconds
		| $stolen / $seconds * 100 * 10 | round / 10' "$RAW")
	cat <<-TEXT
		PipeDevice, native figures: $(machine), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
		$(date -u +%Y-%m-%d); $ROUNDS round(s), the engines in turns at each point, medians; ± is half of highest less lowest.
		tcp      plain TCP through a bridge and two veth pairs, between network namespaces
		unix     Unix stream sockets: what a program could have that is changed for it
		sockmap  TCP sockets accelerated by pdload up --all, same namespaces, bridge and addresses
		How the engines take turns: pdload is up and attached to one cgroup; the processes of the sockmap rows live in it, all
		others do not, so no program of pdload runs for their sockets. Connections are opened for each measurement. What TCP
		itself carried was asked of the kernel: rows of tcp had to be all TCP, rows of sockmap redirected. "via TCP" is
		what the engine put on TCP on purpose (its bound was reached): much of it means TCP's own speed.
		rr, stream: netbench, $SECONDS_EACH s each after a warm-up; one request in flight on each connection; one thread a side.
		Sizes: of the message; redis: of the value; nginx: of the file. x1, x16, x256: connections.
		p50, p99: latency of sockmap over that of TCP, below 1 is better. CPU/GB: CPU time per 10^9 bytes of payload, likewise:
		the time that CPUs $CPU_CLIENT and $CPU_SERVER (one core: $CPU_SERVER) were busy, softirqs included, whoever they were charged to.
		Two cores of a virtual machine: a small message wakes an idle core, which costs tens of microseconds in the hypervisor
		and dominates small request/response there; it says little about the engines. Others used $FOREIGN % of the two CPUs
		before the run; the hypervisor took $stolen % of the time of a CPU during it.
	TEXT
	[ "${stolen%.*}" -lt $STOLEN_MUCH ] || cat <<-TEXT
		THAT IS MUCH: rows with a large spread, those of two cores above all, say nothing. Repeat it on a host that is less busy.
	TEXT
}

# Share of bytes that TCP carried in sockmap rows, by row.
tcp_shares() {
	jq -s 'def median: sort | .[length / 2 | floor];
		map(select(.metric == "tcp_share" and .engine == "sockmap"))
		| group_by([.test, .size, .connections, .placement, .unit])
		| map({key: ([.[0].test, .[0].size, .[0].connections, .[0].placement, (.[0].unit | if . == "1" then "" else . end)] | tostring),
			value: (map(.value) | median)}) | from_entries' "$RAW"
}

plot() {
	local data=$OUT/plot range

	# Of the vertical axes, with room for the key.
	range=$(jq -r '[.[] | select(.metric == "rate" or .metric == "cpu_per_gb") | .ratio_to_tcp // empty]
		| "low=\(([min, 0.5] | min) * 0.85); high=\(([max, 2] | max) * 1.8)"' "$OUT/native.json")
	rm -rf "$data"
	mkdir "$data"
	# gnuplot complains of a file that is not there or is empty.
	for test in rr-rate stream-rate stream-cpu_per_gb; do
		for place in same_core two_cores; do
			for engine in sockmap unix; do
				for conns in 1 16 256; do
					jq -r --arg key "$test-$place-$engine-$conns" \
						'[.[] | select("\(.test)-\(.metric)-\(.placement)-\(.engine)-\(.connections)" == $key and .ratio_to_tcp)
						| "\(.size)\t\(.ratio_to_tcp)"] | if . == [] then "NaN\tNaN" else .[] end' \
						"$OUT/native.json" >"$data/$test-$place-$engine-$conns.tsv"
				done
			done
		done
	done
	for place in same_core two_cores; do
		jq -r --arg place "$place" '
			def bytes: if . >= 1048576 then "\(. / 1048576) MiB" elif . >= 1024 then "\(. / 1024) KiB" else "\(.) B" end;
			[.[] | select(.placement == $place and .metric == "rate" and (.test == "redis" or .test == "nginx") and .engine != "tcp")]
			| group_by([.test, .unit, .size])
			| map("\"\(.[0].test) \(.[0] | .unit // "" | if test("GET|SET") then .[0:3] + " " else "" end)\(.[0].size | bytes)\"\t"
				+ "\(map(select(.engine == "unix"))[0].ratio_to_tcp // "NaN")\t\(map(select(.engine == "sockmap"))[0].ratio_to_tcp // "NaN")")
			| if . == [] then "none\tNaN\tNaN" else .[] end' "$OUT/native.json" >"$data/programs-$place.tsv"
	done
	gnuplot -e "data='$data'; out='$OUT/native.svg'" \
		-e "$range; programs=$(wc -l <"$data/programs-same_core.tsv")" \
		-e "heading='sockmap engine and Unix sockets over plain TCP (veth and bridge)'" \
		-e "note='$(machine); medians of $ROUNDS rounds; counted: verified payload on arrival, busy time of the pinned CPUs'" \
		"$BENCH/plot.gp"
	rm -rf "$data"
}

report() {
	jq -s -f "$BENCH/report.jq" "$RAW" >"$OUT/native.json"
	explain
	jq -r --argjson tcp_share "$(tcp_shares)" -f "$BENCH/table.jq" "$OUT/native.json"
	echo
	jq -r -f "$BENCH/targets.jq" "$OUT/native.json"
	plot
	echo
	echo "Figures: $OUT/native.json   Picture: $OUT/native.svg   Single measurements: $RAW"
}
