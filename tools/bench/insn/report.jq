# SPDX-License-Identifier: GPL-2.0-only
# Lines of the machine (jq -R -s) to the rows of insn.json: as those of native.json, and
# the reader. A count is the same each time, so median, min and max are. Engines that
# should have carried the payload and did not have an error and no figures.

def metric: if .test == "stream" then {metric: "insn_per_mib", unit: "instructions/MiB",
		value: (.instructions / (.operations * .size) * 1048576)}
	else {metric: "insn_per_op", unit: "instructions/operation", value: (.instructions / .operations)} end;
def error: if .engine == "tcp" and .tcp_share < 0.98 and .test != "life" then "only \(.tcp_share) of the bytes went over TCP"
	elif .engine == "cpu" and .tcp_share > 0.05 then "\(.tcp_share) of the bytes went over TCP"
	elif .engine == "sockmap" and .tcp_share > 0.5 then "\(.tcp_share) of the bytes went over TCP"
	else null end;

split("\n") | map(split("\t"))
| (map(select(.[0] == "status") | {key: .[1], value: (.[2:] | join(" ") | fromjson)}) | from_entries) as $status
| (map(select(.[0] == "row") | {engine: .[1], test: .[2], size: (.[3] | tonumber), reader: .[4],
	operations: (.[5] | tonumber), instructions: (.[6] | tonumber), tcp_share: (.[7] | tonumber)})) as $counts
| ($counts | map(select(.engine == "tcp") | {key: "\(.test) \(.size) \(.reader)", value: metric.value}) | from_entries) as $tcp
| $counts | map(metric as $metric | $tcp["\(.test) \(.size) \(.reader)"] as $base
	| {test, size, connections: 1, placement: "same_core", engine, reader, metric: $metric.metric, unit: $metric.unit}
	+ if error then {median: null, min: null, max: null, ratio_to_tcp: null, error: error}
	else {median: $metric.value, min: $metric.value, max: $metric.value,
		ratio_to_tcp: (if $base then $metric.value / $base else null end), tcp_share} end)
