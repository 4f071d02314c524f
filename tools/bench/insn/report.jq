# SPDX-License-Identifier: GPL-2.0-only
# Lines of the machine (jq -R -s) to the rows of insn.json: those of native.json, the reader,
# and what kind of pages the buffers are in. A count is the same each time, so median, min and max are one. What did not take
# the path of its engine has an error and no figures.

def metric: if .test == "stream" then {metric: "insn_per_mib", unit: "instructions/MiB",
		value: (.instructions / (.operations * .size) * 1048576)}
	else {metric: "insn_per_op", unit: "instructions/operation", value: (.instructions / .operations)} end;
# The first messages of a connection may go over TCP, and what sockmap's bound pushes there. How
# much of life does nobody knows: its connections are too short to ask.
def error($status; $moved):
	if .engine == "unix" then null
	elif .engine == "tcp" then if .test != "life" and .tcp_share < 0.98
		then "only \(.tcp_share) of the bytes went over TCP: something accelerates plain connections" else null end
	elif $status == null then "pdload status said nothing"
	elif $status.engine != ({auto: "dma"}[.engine] // .engine) then "pdload fell back to the engine \($status.engine)"
	elif $status.accelerated == 0 or $status.accelerated < $status.opened or $status.reasons.raced > 0
		then "of \($status.opened) connections \($status.accelerated) were accelerated, \($status.reasons.raced) directions raced"
	elif .engine == "dma" and $moved.DmaBytes < $moved.CpuBytes then "DMA copied \($moved.DmaBytes) bytes and the CPU \($moved.CpuBytes)"
	elif .tcp_share > ({sockmap: 0.5}[.engine] // 0.05) then "\(.tcp_share) of the bytes went over TCP"
	else null end;

split("\n") | map(split("\t"))
| (map(select(.[0] == "status") | {key: .[1], value: (.[2:] | join(" ") | fromjson)}) | from_entries) as $status
| (map(select(.[0] == "moved")) | group_by(.[1]) | map({key: .[0][1],
	value: (map({key: .[2], value: (.[3] | tonumber)}) | from_entries)}) | from_entries) as $moved
| map(select(.[0] == "row") | {engine: .[1], test: .[2], size: (.[3] | tonumber), reader: .[4],
	buffers: .[5], operations: (.[6] | tonumber), instructions: (.[7] | tonumber), tcp_share: (.[8] | tonumber)})
| (map(select(.engine == "tcp") | {key: "\(.test) \(.size) \(.reader) \(.buffers)", value: metric.value}) | from_entries) as $tcp
| map(metric as $metric | $tcp["\(.test) \(.size) \(.reader) \(.buffers)"] as $base | error($status[.engine]; $moved[.engine]) as $error
	| {test, size, connections: 1, placement: "same_core", engine, reader, buffers, metric: $metric.metric, unit: $metric.unit}
	+ if $error then {median: null, min: null, max: null, ratio_to_tcp: null, error: $error}
	else {median: $metric.value, min: $metric.value, max: $metric.value,
		ratio_to_tcp: (if $base then $metric.value / $base else null end),
		tcp_share: (if .test == "life" or .engine == "unix" then null else .tcp_share end)} end)
| sort_by({rr: 0, stream: 1, life: 2}[.test], .buffers == "huge", .reader, .size,
	{tcp: 0, unix: 1, sockmap: 2, cpu: 3, dma: 4, auto: 5}[.engine])
