# SPDX-License-Identifier: GPL-2.0-only
# Lines of the machine (jq -R -s) to the rows of insn.json: those of native.json, and the
# reader. A count is the same each time, so median, min and max are one. What did not take
# the path of its engine has an error and no figures.

def metric: if .test == "stream" then {metric: "insn_per_mib", unit: "instructions/MiB",
		value: (.instructions / (.operations * .size) * 1048576)}
	else {metric: "insn_per_op", unit: "instructions/operation", value: (.instructions / .operations)} end;
# The first messages of a connection may go over TCP, and what sockmap's bound pushes there. How
# much of life does nobody knows: its connections are too short to ask.
def error($status):
	if .engine == "unix" then null
	elif .engine == "tcp" then if .test != "life" and .tcp_share < 0.98
		then "only \(.tcp_share) of the bytes went over TCP: something accelerates plain connections" else null end
	elif $status == null then "pdload status said nothing"
	elif $status.engine != .engine then "pdload fell back to the engine \($status.engine)"
	elif $status.accelerated == 0 or $status.accelerated < $status.opened or $status.reasons.raced > 0
		then "of \($status.opened) connections \($status.accelerated) were accelerated, \($status.reasons.raced) directions raced"
	elif .tcp_share > {cpu: 0.05, sockmap: 0.5}[.engine] then "\(.tcp_share) of the bytes went over TCP"
	else null end;

split("\n") | map(split("\t"))
| (map(select(.[0] == "status") | {key: .[1], value: (.[2:] | join(" ") | fromjson)}) | from_entries) as $status
| map(select(.[0] == "row") | {engine: .[1], test: .[2], size: (.[3] | tonumber), reader: .[4],
	operations: (.[5] | tonumber), instructions: (.[6] | tonumber), tcp_share: (.[7] | tonumber)})
| (map(select(.engine == "tcp") | {key: "\(.test) \(.size) \(.reader)", value: metric.value}) | from_entries) as $tcp
| map(metric as $metric | $tcp["\(.test) \(.size) \(.reader)"] as $base | error($status[.engine]) as $error
	| {test, size, connections: 1, placement: "same_core", engine, reader, metric: $metric.metric, unit: $metric.unit}
	+ if $error then {median: null, min: null, max: null, ratio_to_tcp: null, error: $error}
	else {median: $metric.value, min: $metric.value, max: $metric.value,
		ratio_to_tcp: (if $base then $metric.value / $base else null end),
		tcp_share: (if .test == "life" or .engine == "unix" then null else .tcp_share end)} end)
| sort_by({rr: 0, stream: 1, life: 2}[.test], .reader, .size, {tcp: 0, unix: 1, sockmap: 2, cpu: 3}[.engine])
