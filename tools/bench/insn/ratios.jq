# SPDX-License-Identifier: GPL-2.0-only
# insn.json to what is committed as ratios.json: ratios to TCP of our engines.
map(select(IN(.engine; "sockmap", "cpu", "dma", "auto"))
	| {key: "\(.engine) \(.test) \(.size) \(.reader)\(if .buffers == "huge" then " huge" else "" end)",
	value: (if .ratio_to_tcp then .ratio_to_tcp * 1000 | round / 1000 else null end)})
| from_entries
