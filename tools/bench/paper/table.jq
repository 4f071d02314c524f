# SPDX-License-Identifier: GPL-2.0-only
# The rows of a figure (--arg figure) as a table for people.

def pad($n): tostring | if length >= $n then . else " " * ($n - length) + . end;
def left($n): tostring | if length >= $n then . else . + " " * ($n - length) end;
def bytes: if . >= 1048576 then "\(. / 1048576) MiB" elif . >= 1024 then "\(. / 1024) KiB" else "\(.) B" end;
def fixed: if . == null then "-" else . * 1000 | round | . + 10000000 | tostring
	| "\(.[1:5] | tonumber).\(.[5:])" end;
def percent: . * 1000 | round / 10 | "\(.) %";
def cell($field): if . == null then "" elif .error then "ERROR" else .[$field] | fixed end;
def each($engines; $field): . as $r | $engines | map(. as $engine | $r[$engine] | cell($field) | pad(9)) | join("");
def by_engine: (map({key: .engine, value: .}) | from_entries) + {any: .[0]};
def pages: if . == "pages" then 0 else 1 end;
def header($engines): $engines | map(pad(9)) | join("");

def engines: ["tcp", "unix", "sockmap", "cpu", "dma", "auto"];
def sizes: "instructions / byte" + header(engines) + "   / those of TCP" + header(engines[2:]),
	(group_by([(.buffers | pages), .size])[] | by_engine
		| "\(.any.size | bytes | left(10))\(.any.buffers | left(9))" + each(engines; "insn_per_byte") + "                 " + each(engines[2:]; "ratio_to_tcp"));
# From the smallest to the largest, of what the smallest is.
def spread($field): map(.[$field]) | if any(. == null) or . == [] then "-" else (max - min) / min | percent end;
def connections: ["tcp", "cpu", "dma"] as $engines
	| "connections, messages of 64 KiB: instructions / byte" + header($engines) + "   MiB / machine second" + header($engines),
	(group_by(.connections)[] | by_engine | "\(.any.connections | left(52))" + each($engines; "insn_per_byte") + "                       "
		+ each($engines; "mib_per_machine_second")),
	($engines[] as $engine | map(select(.engine == $engine and .connections >= 16))
		| "\($engine | left(5)) from 16 to the most connections: CPU per byte differs by \(spread("insn_per_byte")), completed bytes by \(spread("bytes_per_machine_second"))");
def ring: ["tcp", "sockmap", "cpu", "dma", "auto"] as $engines
	| "our C ring: instructions / byte that a process sends" + header($engines) + "   TCP's / them" + header($engines[1:]),
	(group_by([(.buffers | pages), .ranks])[] | by_engine
		| "\(.any.ranks | left(3))processes, \(.any.vector | bytes), \(.any.buffers)" as $what | ($what | left(52))
		+ each($engines; "insn_per_byte") + "               " + each($engines[1:]; "fewer"));
def ms: if . == null then "-" else . / 1e6 * 10 | round / 10 | tostring end;
def times: if .error then "ERROR" else "\(.median_ns | ms | pad(9)) (\(.min_ns | ms) to \(.max_ns | ms))" end;
def mpi: "OpenMPI over its TCP transport: ms of an allreduce, median (all runs)",
	(group_by(.ranks)[] | by_engine | "\(.any.ranks) processes, \(.any.vector | bytes): TCP \(.tcp | times), cpu \(.cpu | times)"
		+ if .cpu.speedup then ", TCP / cpu \(.cpu.speedup.median | fixed) (\(.cpu.speedup.min | fixed) to \(.cpu.speedup.max | fixed)), \(.cpu.runs | length) runs each" else "" end);

map(. + if .insn_per_byte then {mib_per_machine_second: (.bytes_per_machine_second / 1048576),
	fewer: (if .ratio_to_tcp then 1 / .ratio_to_tcp else null end)} else {} end)
| (if $figure == "sizes" then sizes elif $figure == "connections" then connections elif $figure == "ring" then ring else mpi end),
	(map(select(.error))[] | "ERROR, no figure: \(.engine) \(.size // .vector | bytes) \(.buffers // ""), \(.connections // .ranks) connections or processes: \(.error)")
