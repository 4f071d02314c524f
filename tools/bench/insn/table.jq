# SPDX-License-Identifier: GPL-2.0-only
# insn.json as a table for people, and whether the targets are met.

def pad($n): tostring | if length >= $n then . else " " * ($n - length) + . end;
def left($n): tostring | if length >= $n then . else . + " " * ($n - length) end;
def bytes: if . >= 1048576 then "\(. / 1048576) MiB" elif . >= 1024 then "\(. / 1024) KiB" else "\(.) B" end;
def fixed: if . == null then "-" else . * 1000 | round | . + 1000000 | tostring
	| "\(.[1:4] | tonumber).\(.[4:])" end;
# Streams by the message, which is easier to compare with the others.
def count: if . == null then "-" elif .error then "ERROR"
	else (if .metric == "insn_per_mib" then .median * .size / 1048576 else .median end) | round end;
def targets: {"rr 64": 0.48, "rr 65536": 0.52, "stream 1024": 0.20, "stream 16384": 0.45,
	"stream 65536": 0.47, "stream 1048576": 0.57, "life 64": 1.1};
def verdict($target): if $target == null then "" elif . == null then "not measured"
	elif . <= $target then "met" else "NOT met" end;

"test   size       reader         TCP      Unix   sockmap       cpu   Unix/TCP  sm/TCP cpu/TCP  target  cpu",
(group_by([{rr: 0, stream: 1, life: 2}[.test], .reader, .size])[]
	| (map({key: .engine, value: .}) | from_entries) as $r
	| .[0] as $any | (targets["\($any.test) \($any.size)"]) as $target
	| "\($any.test | left(7))\($any.size | bytes | left(8)) \($any.reader | left(9))"
	+ (["tcp", "unix", "sockmap", "cpu"] | map($r[.] | count | pad(10)) | join(""))
	+ "    \($r.unix.ratio_to_tcp | fixed | pad(7)) \($r.sockmap.ratio_to_tcp | fixed | pad(7)) \($r.cpu.ratio_to_tcp | fixed | pad(7))"
	+ (if $target then "   \($target | fixed)  \($r.cpu.ratio_to_tcp | verdict($target))" else "" end)),
(map(select(.error))[] | "ERROR, no figure: \(.engine) \(.test) \(.size | bytes) \(.reader): \(.error)")
