# SPDX-License-Identifier: GPL-2.0-only
# Lines of a machine (jq -R -s --arg figure sizes|connections|ring|mpi) to the rows of a figure.
# A row whose payload did not go the way of its engine has an error and no figures.

def names: {
	sizes: ["size", "read", "connections", "buffers", "reader", "bytes", "instructions", "machine_ns", "by_tcp", "by_cpu", "by_dma", "from_stretches", "to_stretches"],
	ring: ["ranks", "vector", "buffers", "bytes", "instructions", "machine_ns", "by_tcp", "by_cpu", "by_dma"],
	mpi: ["ranks", "vector", "ns", "by_cpu", "bytes"]} | .connections = .sizes;
def number: tonumber? // .;

# As the message may be smaller than what is worth a copy by DMA.
def least_by_dma: if (.size // .vector) >= 4096 then 0.5 else 0 end;
def unmoved: (.by_cpu + (.by_dma // 0)) as $moved
	| if $moved < 0.95 * .bytes then "the module carried \($moved) of \(.bytes) bytes" else null end;
# The first messages of a connection may go over TCP, and what sockmap's bound pushes there.
def error($status):
	if .engine == "unix" then null
	elif .engine == "tcp" then
		if .by_cpu + (.by_dma // 0) > 0 or (.by_tcp // .bytes) < 0.98 * .bytes
		then "not all of the bytes went over TCP: something accelerates plain connections" else null end
	# OpenMPI's own connections, by which it starts its processes, are accelerated or not.
	elif $figure == "mpi" then unmoved
	elif $status == null then "pdload status said nothing"
	elif $status.engine != ({auto: "dma"}[.engine] // .engine) then "pdload fell back to the engine \($status.engine)"
	elif $status.accelerated == 0 or $status.accelerated < $status.opened or $status.reasons.raced > 0
		then "of \($status.opened) connections \($status.accelerated) were accelerated, \($status.reasons.raced) directions raced"
	# Of messages as large as the bound most do not fit.
	elif .engine == "sockmap" then if .by_tcp > (if .size < 4194304 then 0.5 else 0.95 end) * .bytes then "\(.by_tcp) of \(.bytes) bytes went over TCP" else null end
	elif unmoved then unmoved
	elif .engine == "dma" and .by_dma < least_by_dma * .bytes then "DMA copied \(.by_dma) of \(.bytes) bytes"
	else null end;

def median: sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2 - 1] + .[length / 2]) / 2 end;

def key: "\(.size) \(.connections) \(.ranks) \(.buffers)";
def counted: (map(select(.engine == "tcp") | {key: key, value: (.instructions / .bytes)}) | from_entries) as $tcp
	| map(. + if .error then {insn_per_byte: null, bytes_per_machine_second: null, ratio_to_tcp: null}
	else (.instructions / .bytes) as $each | {insn_per_byte: $each, bytes_per_machine_second: (.bytes / .machine_ns * 1e9),
		ratio_to_tcp: (if $tcp[key] then $each / $tcp[key] else null end)} end);
def timed: group_by([.ranks, .engine != "tcp"]) | map({engine: .[0].engine, ranks: .[0].ranks, vector: .[0].vector,
		runs: map(.ns), median_ns: (map(.ns) | median), min_ns: (map(.ns) | min), max_ns: (map(.ns) | max),
		error: (map(.error) | map(select(.)) | .[0])})
	| (map(select(.engine == "tcp") | {key: "\(.ranks)", value: .}) | from_entries) as $tcp
	| map(if .error then . + {median_ns: null, min_ns: null, max_ns: null} else . end)
	# Runs took turns: each with its neighbour.
	| map($tcp["\(.ranks)"] as $base | . + if .engine == "tcp" or .error or $base.error then {}
		else {speedup: ([$base.runs, .runs] | transpose | map(.[0] / .[1])) | {median: median, min: min, max: max}} end);

split("\n") | map(split("\t"))
| (map(select(.[0] == "status") | {key: .[1], value: (.[2:] | join(" ") | fromjson)}) | from_entries) as $status
| map(select(.[0] == "row") | {engine: .[1]} + ([[names[$figure], (.[2:] | map(number))] | transpose[] | {key: .[0], value: .[1]}] | from_entries)
	| . + {error: error($status[.engine])})
| if $figure == "mpi" then timed else counted end
