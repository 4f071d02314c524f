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
	printf "%12s %7s  %-36s %s\n", "instructions", "", "function", "calls by"
	for (name in of)
		printf "%12.1f %5.1f %%  %-36s%s\n", of[name] / operations, of[name] / all * 100, name, callers[name] | "sort -rn"
	printf "%12.1f %5.1f %%  all\n", all / operations, 100 | "sort -rn"
}
