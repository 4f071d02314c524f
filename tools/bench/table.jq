# SPDX-License-Identifier: GPL-2.0-only
# native.json as a table for people; losses stand out as plainly as wins.
# $tcp_share: {"key": share} of the bytes that TCP carried of sockmap rows.

def pad($n): tostring | if length >= $n then . else " " * ($n - length) + . end;
def left($n): tostring | if length >= $n then . else . + " " * ($n - length) end;
def round_to($digits): . * pow(10; $digits) | round | . / pow(10; $digits);
def fixed: if . == null then "-" else round_to(2) | tostring
	| if test("\\.") then . + "0" * (2 - (split(".")[1] | length)) else . + ".00" end end;
def short: if . == null then "-"
	elif . >= 1e6 then "\(. / 1e6 | round_to(2))M"
	elif . >= 1e4 then "\(. / 1e3 | round_to(1))k"
	elif . >= 100 then "\(round)"
	else "\(round_to(1))" end;
def bytes: if . >= 1048576 then "\(. / 1048576) MiB" elif . >= 1024 then "\(. / 1024) KiB" else "\(.) B" end;
# Median and half the distance from the lowest to the highest, in per cent.
def spread: if . == null then "-" elif .median == null then "ERROR"
	else "\(.median | short) ±\((.max - .min) / 2 / .median * 100 | round)%" end;
def verdict: if . == null then "-" elif . > 1.05 then "win" elif . < 0.95 then "LOSS" else "even" end;
def operation: if .unit == null or (.unit | test("GET|SET") | not) then "" else (.unit | capture("(?<op>GET|SET)").op) end;
def titles: {rr: "Request/response", stream: "Stream", redis: "redis", nginx: "nginx + wrk"};
def units: {rr: "requests/s", stream: "MB/s", redis: "operations/s, redis-benchmark", nginx: "requests/s"};
def places: {same_core: "client and server on one core", two_cores: "client and server on two cores"};

def line($tag; $rows):
	($rows | map({key: "\(.engine) \(.metric)", value: .}) | from_entries) as $r
	| $r["tcp rate"] as $tcp | $r["sockmap rate"] as $sm | $r["unix rate"] as $ux
	| ($tcp_share[[$rows[0].test, $rows[0].size, $rows[0].connections, $rows[0].placement, $tag] | tostring]) as $share
	| "  \($tag | left(4))\($rows[0].size | bytes | pad(8)) x\($rows[0].connections | left(4))"
	+ "\($tcp | spread | pad(14))\($ux | spread | pad(14))\($sm | spread | pad(14))"
	+ "\($ux.ratio_to_tcp | fixed | pad(9))\($sm.ratio_to_tcp | fixed | pad(9)) \($sm.ratio_to_tcp | verdict | left(5))"
	+ "\($r["sockmap latency_p50"].ratio_to_tcp | fixed | pad(7))\($r["sockmap latency_p99"].ratio_to_tcp | fixed | pad(7))"
	+ "\($r["sockmap cpu_per_gb"].ratio_to_tcp | fixed | pad(7))"
	+ (if $share == null then "       -" else "\($share * 100 | round | tostring | pad(6)) %" end);

. as $all
| (["rr", "stream", "redis", "nginx"][] as $test | ["same_core", "two_cores"][] as $place
	| map(select(.test == $test and .placement == $place)) | select(length > 0)
	| "",
	"\(titles[$test]), \(places[$place]); \(units[$test])",
	"  " + ("size" | pad(12)) + " conns" + ("TCP" | pad(13)) + ("Unix" | pad(14)) + ("sockmap" | pad(14))
		+ ("Unix/TCP" | pad(9)) + ("sm/TCP" | pad(9)) + "      " + ("p50" | pad(7)) + ("p99" | pad(7))
		+ ("CPU/GB" | pad(7)) + ("via TCP" | pad(8)),
	(group_by([operation, .size, .connections])[] | line(.[0] | operation; .))),
"",
($all | map(select(.engine == "sockmap" and .metric == "rate" and .ratio_to_tcp != null) | .ratio_to_tcp | verdict)
	| "sockmap against TCP, rates: \(map(select(. == "win")) | length) wins, \(map(select(. == "even")) | length) even, \(map(select(. == "LOSS")) | length) losses"),
($all | map(select(.error)) | unique_by([.test, .size, .connections, .placement, .engine])[]
	| "ERROR, no figure: \(.engine) \(.test) \(.size | bytes) x\(.connections) \(.placement): \(.error)")
