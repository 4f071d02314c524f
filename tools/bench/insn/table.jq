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
def targets: {"rr 64 pages": {cpu: 0.48}, "rr 65536 pages": {cpu: 0.52}, "stream 1024 pages": {cpu: 0.20},
	"stream 16384 pages": {cpu: 0.45}, "stream 65536 pages": {cpu: 0.47, dma: 0.37},
	"stream 1048576 pages": {cpu: 0.57, dma: 0.20}, "stream 65536 huge": {dma: 0.30},
	"stream 1048576 huge": {dma: 0.08}, "life 64 pages": {cpu: 1.1}};
def verdict($target): if . == null then "not measured" elif . <= $target then "met" else "NOT met" end;
def order: [{rr: 0, stream: 1, life: 2}[.test], .buffers == "huge", .reader, .size];
# auto, by how much of it it takes more than the better of the two that it chooses from.
def over: if .auto.median and .cpu.median and .dma.median
	then .auto.median / ([.cpu.median, .dma.median] | min) - 1 else null end;

def engines: ["tcp", "unix", "sockmap", "cpu", "dma", "auto"];
([group_by(order)[] | (map({key: .engine, value: .}) | from_entries) + {any: .[0]}]) as $groups
| "test   size    pages reader         TCP      Unix   sockmap       cpu       dma      auto"
	+ "   Unix/TCP  sm/TCP cpu/TCP dma/TCP auto/TCP   target",
($groups[] | . as $r | .any as $any
	| (targets["\($any.test) \($any.size) \($any.buffers)"] // {}) as $targets
	| "\($any.test | left(7))\($any.size | bytes | left(8))\($any.buffers | left(6))\($any.reader | left(9))"
	+ (engines | map($r[.] | count | pad(10)) | join(""))
	+ "    " + (engines[1:] | map($r[.].ratio_to_tcp | fixed | pad(7)) | join(" "))
	+ ($targets | to_entries | map("   \(.key) \(.value | fixed) \(.value as $most | $r[.key].ratio_to_tcp | verdict($most))") | join(","))),
($groups[] | over as $over | select($over != null and $over > 0.05) | .any
	| "auto takes \($over * 1000 | round / 10) % more than the better of cpu and dma: \(.test) \(.size | bytes) \(.buffers) \(.reader)"),
(map(select(.error))[] | "ERROR, no figure: \(.engine) \(.test) \(.size | bytes) \(.buffers) \(.reader): \(.error)")
