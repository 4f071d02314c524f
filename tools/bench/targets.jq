# SPDX-License-Identifier: GPL-2.0-only
# The speed that the project set itself, and whether this run reached it. The
# ratios are of medians; a target that names no number of connections is for
# one of them, and the others are shown.

def fixed: if . == null then "not measured" else . * 100 | round / 100 | "\(.)x" end;
def bytes: if . >= 1048576 then "\(. / 1048576) MiB" elif . >= 1024 then "\(. / 1024) KiB" else "\(.) B" end;
def ratio($test; $size; $conns; $place; $metric):
	map(select(.engine == "sockmap" and .test == $test and .size == $size and .connections == $conns
		and .placement == $place and .metric == $metric)) | .[0].ratio_to_tcp;
def others($test; $size; $place; $metric): [16, 256][] as $c
	| ratio($test; $size; $c; $place; $metric) | select(. != null) | "x\($c): \(fixed)";
def target($text; $test; $size; $place; $metric; met):
	ratio($test; $size; 1; $place; $metric) as $value
	| [others($test; $size; $place; $metric)] as $rest
	| (if $value == null then "not measured" elif ($value | met) then "met         " else "not met     " end)
	+ "  \($text): \($value | fixed)" + (if $rest == [] then "" else " (\($rest | join(", ")))" end);
def operation: if .unit == null or (.unit | test("GET|SET") | not) then "" else (.unit | capture("(?<op>GET|SET)").op) + " " end;
# Messages small enough for TCP to win by sending many in one segment.
def small_stream: .test == "stream" and .size <= 4096;

"Targets, sockmap against plain TCP:",
"  " + target("one core, rr 64 B at least 1.6x"; "rr"; 64; "same_core"; "rate"; . >= 1.6),
"  " + target("one core, rr 64 KiB at least 1.9x"; "rr"; 65536; "same_core"; "rate"; . >= 1.9),
"  " + target("two cores, stream 1 MiB at least 1.3x"; "stream"; 1048576; "two_cores"; "rate"; . >= 1.3),
"  " + target("two cores, stream 1 MiB, CPU per GB at most 0.75x"; "stream"; 1048576; "two_cores"; "cpu_per_gb"; . <= 0.75),
(map(select(.engine == "sockmap" and .metric == "rate" and .ratio_to_tcp != null)) as $rates
	| ($rates | map(select(.ratio_to_tcp < 0.9))) as $low
	| ($low | map(select(small_stream | not))) as $bad
	| "  " + (if $rates == [] then "not measured" elif $bad == [] then "met         " else "not met     " end)
		+ "  no rate below 0.9x, streams of at most 4 KiB excepted: \($bad | length) of \($rates | length) are below",
	($low | sort_by(.ratio_to_tcp)[]
		| "                  \(.test) \(operation)\(.size | bytes) x\(.connections) \(.placement): \(.ratio_to_tcp | fixed)"
			+ (if small_stream then " (excepted)" else "" end)))
