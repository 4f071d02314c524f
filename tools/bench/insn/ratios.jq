# SPDX-License-Identifier: GPL-2.0-only
# The insn.json of one image or of several (jq -s) to what is committed as ratios.json: ratios to TCP
# of our engines, each the mean.
add | map(select(IN(.engine; "sockmap", "cpu", "dma", "auto"))
	| {key: "\(.engine) \(.test) \(.size) \(.reader)\(if .buffers == "huge" then " huge" else "" end)",
	value: .ratio_to_tcp})
| reduce .[] as $row ({}; .[$row.key] += [$row.value])
| map_values(if all then add / length * 1000 | round / 1000 else null end)
