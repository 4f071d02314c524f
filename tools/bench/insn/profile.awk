# SPDX-License-Identifier: GPL-2.0-only
# What profile.so wrote, with lines of ADDRESS "function" NAME, all sorted by address, to a
# table: the instructions of each function, most first, and who calls it how often, all of
# one operation. -v operations=N is how many there were.

BEGIN {
	name = "(user space)"
}

$2 == "function" {
	name = $3
	at[$1] = name
}

$2 == "insns" {
	of[name] += $3 * $4
	all += $3 * $4
}

# A step to where a function begins is a call, unless the function loops to there.
$2 == "to" {
	steps[name, $4] += $3
}

# What a function is there for, by its name: the first that fits.
function kind_of(name) {
	if (name ~ /^\(user/)
		return "both programs"
	if (name ~ /\[pipedevice\]/)
		return "the module"
	if (name ~ /^bpf|\[bpf\]|sk_psock|sk_msg/)
		return "BPF"
	if (name ~ /copy_(from|to)_(user|iter)|copy_page|check_object_size|check_heap/)
		return "copies"
	if (name ~ /gup|pin_user|_folio|mod_node/)
		return "pinning"
	if (name ~ /zynqmp_dma|^_*dma_|dmaengine|irq|gic_|fasteoi|tasklet|interrupt/ && name !~ /softirq|^_raw|local_irq/)
		return "DMA: the driver, mapping, interrupts"
	if (name ~ /sched|_task|entity|load_avg|update_curr|psi_|switch|wake|_rq|eevdf|timer|wait_queue|clock|fpsimd|rseq|eligible|dl_server/)
		return "scheduling"
	if (name ~ /^(__)?(tcp|ip|inet|skb|netif|dev|dst|fib|nf|veth|eth|napi|sock_def)_|softirq|backlog|xmit/)
		return "TCP/IP and devices"
	return "system calls, locks, the rest"
}

END {
	for (step in steps) {
		split(step, pair, SUBSEP)
		if (pair[2] in at && at[pair[2]] != pair[1]) {
			calls[pair[1], at[pair[2]]] += steps[step]
			total[at[pair[2]]] += steps[step]
		}
	}
	for (call in calls) {
		split(call, pair, SUBSEP)
		if (calls[call] > total[pair[2]] / 10)
			callers[pair[2]] = callers[pair[2]] sprintf(" %.1f %s", calls[call] / operations, pair[1])
	}
	for (name in of)
		kinds[kind_of(name)] += of[name]
	printf "%12s %7s  %s\n", "instructions", "", "what for"
	for (kind in kinds)
		printf "%12.1f %5.1f %%  %s\n", kinds[kind] / operations, kinds[kind] / all * 100, kind | "sort -rn"
	close("sort -rn")
	printf "\n%12s %7s  %-36s %s\n", "instructions", "", "function", "calls by"
	for (name in of)
		printf "%12.1f %5.1f %%  %-36s%s\n", of[name] / operations, of[name] / all * 100, name, callers[name] | "sort -rn"
	printf "%12.1f %5.1f %%  all\n", all / operations, 100 | "sort -rn"
}
