# SPDX-License-Identifier: GPL-2.0-only
# insn.json to what is committed as ratios.json: ratios to TCP of our engines.
map(select(.engine == "sockmap" or .engine == "cpu")
	| {key: "\(.engine) \(.test) \(.size) \(.reader)",
	value: (if .ratio_to_tcp then .ratio_to_tcp * 1000 | round / 1000 else null end)})
| from_entries
