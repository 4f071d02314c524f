#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# pdload probe for real: it answers in bounded time, in text and in JSON, as root and as nobody,
# finds what this kernel is known to do, and leaves nothing behind.
set -euo pipefail

PDLOAD=${PDLOAD:-build/pdload}
LIMIT=28 # seconds; it says of itself that it takes 30 at most
work=$(mktemp -d)
cases=0
failed=0

cgroup=

cleanup() {
	if [ -n "$cgroup" ]; then
		"$PDLOAD" down --drain 1 >/dev/null 2>&1 || true
		rmdir "$cgroup" 2>/dev/null || true
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# verdict STATUS SENTENCE [WHY]
verdict() {
	cases=$((cases + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $cases - $2"
	else
		failed=$((failed + 1))
		echo "not ok $cases - $2"
		[ -z "${3:-}" ] || printf '%s\n' "$3" | sed 's/^/# /'
	fi
}

# check SENTENCE COMMAND...: it succeeds.
check() {
	local sentence=$1 status=0
	shift
	"$@" >"$work/why" 2>&1 || status=$?
	verdict "$status" "$sentence" "$(tail -5 "$work/why")"
}

# query FILTER: of the JSON document of the run as root; fails if there is none.
query() {
	jq -es ".[0] | ($1)" "$work/json"
}

# objects: the BPF programs and maps of scratch pairs that exist now.
objects() {
	bpftool -j prog show | jq -c '.[] | select(.name == "scratch_verdict") | "prog \(.id)"' | sort
	bpftool -j map show | jq -c '.[] | select(.name == "pd_scratch") | "map \(.id)"' | sort
}

# no_new_objects: the kernel frees them a while after the process that had them has ended.
no_new_objects() {
	local end=$((SECONDS + 5))
	while objects >"$work/after" && [ -n "$(comm -13 "$work/before" "$work/after")" ]; do
		[ "$SECONDS" -lt "$end" ] || { comm -13 "$work/before" "$work/after"; return 1; }
	done
}

# children_of_probe: processes of this session that run the binary under test.
children_of_probe() {
	local pid
	for pid in $(ps -o pid= -s "$(ps -o sid= -p $$ | tr -d ' ')"); do
		[ "$(readlink "/proc/$pid/exe" 2>/dev/null)" != "$(readlink -f "$PDLOAD")" ] ||
			echo "$pid"
	done
}

run_as_root() {
	timeout "$LIMIT" "$PDLOAD" probe --json >"$work/json" 2>"$work/err"
}

has_every_key() {
	query '[.pdload, .kernel.release, .kernel.machine, .kernel.cpus, .features, .lacks,
		.modules.loadable, .dma_channels, .hugepages.sizes, .numa.available, .numa.nodes,
		.ktls, .mptcp, .defects] | all(. != null)' &&
		query 'has("engine") and has("why") and (.security | has("lsms") and has("lockdown")
		and has("note")) and (.modules | has("note")) and (.hugepages | has("transparent"))' &&
		query '.features | length > 30 and all(has("group") and has("name") and has("present")
		and has("needed") and has("note"))' &&
		query '.defects | all(.name and .what and .suffers
		and (.state | IN("present", "absent", "could not test"))
		and (.with_pdload | IN("avoided", "inherited")) and has("seen"))'
}

names_every_defect() {
	query '[.defects[].name] | contains(["splice_hang", "fionread_zero", "order_before_tcp",
		"reader_uncharged", "rcvlowat_ignored", "no_reset_on_unread_close", "no_backpressure",
		"send_after_shutdown", "eagain_in_blocking_recv", "oob_lost", "tcp_inq_ignored",
		"peek_off_ignored", "timestamps_ignored", "trunc_efault", "zerocopy_receive_wrong",
		"reset_lost_behind_unread", "sender_stops_while_reader_faults", "enomem_in_send",
		"uring_waitall_send_loses",
		"zerocopy_completion_missing", "send_zc_unsupported", "eagain_after_half_close", "msg_more_ignored", "small_stream_slow", "waitall_short"])'
}

# What all known kernels do, whatever else they do.
finds_what_every_kernel_does() {
	query '[.defects[] | select(.state == "present") | .name] | contains(["splice_hang",
		"order_before_tcp", "no_backpressure", "send_after_shutdown", "oob_lost",
		"zerocopy_completion_missing"])'
}

one_document() {
	[ "$(jq -s length "$work/json")" -eq 1 ] && [ ! -s "$work/err" ]
}

as_nobody() {
	# The checkout may be closed to others: run a copy.
	install -m 755 "$PDLOAD" "$work/pdload"
	chmod 755 "$work"
	timeout "$LIMIT" setpriv --reuid 65534 --regid 65534 --clear-groups "$work/pdload" probe \
		"$@" >"$work/nobody" 2>&1
}

# In a control group whose connections are all accelerated, its own included. What a socket loses
# for good when it enters a sockmap, and what is a matter of speed, is left out.
same_while_up() {
	local filter='[.defects[] | select(.name | IN("send_zc_unsupported", "small_stream_slow")
		| not) | [.name, .state]]'
	cgroup=$(jq -r '.features[] | select(.name == "cgroup v2") | .note' "$work/json")/pdprobe-$$
	mkdir "$cgroup"
	"$PDLOAD" up --all --cgroup "$cgroup" || return 1
	bash -c 'echo $$ >"$1/cgroup.procs" && exec timeout "$2" "$3" probe --json' probe \
		"$cgroup" "$LIMIT" "$PDLOAD" >"$work/up" || return 1
	"$PDLOAD" status --json | jq -e '.. | .accelerated? // empty | numbers | select(. > 0)' ||
		return 1
	"$PDLOAD" down --drain 5 || return 1
	rmdir "$cgroup" || return 1
	cgroup=
	diff <(jq -c "$filter" "$work/json") <(jq -c "$filter" "$work/up")
}

if [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi

objects >"$work/before"
start=$(date +%s%N)
check "probe exits 0 within $LIMIT seconds" run_as_root
took=$((($(date +%s%N) - start) / 1000000))
echo "# it took $took ms"
check "it prints one JSON document and nothing else" one_document
check "the document has every key" has_every_key
check "it names every defect" names_every_defect
if query '.engine == "sockmap"' >"$work/why" 2>&1; then
	check "no feature that is needed is missing when the engine is sockmap" \
		query '.lacks == [] and .why == null and all(.features[]; .present or (.needed | not))'
	check "every self-test came to a result" \
		query '[.defects[] | select(.state == "could not test"
			and (.seen | test("this kernel|io_uring|not tried") | not))] == []'
	check "splice hangs, and probe does not" finds_what_every_kernel_does
else
	verdict 1 "this kernel has what the sockmap engine needs" "$(jq -c .lacks "$work/json")"
fi
check "the kernel it names is the one that runs" query ".kernel.release == \"$(uname -r)\""

check "no BPF program or map is left" no_new_objects
children_of_probe >"$work/children"
check "no process is left" test ! -s "$work/children"

check "the last line of the text is the engine" bash -c \
	"timeout $LIMIT '$PDLOAD' probe 2>'$work/progress' | tail -1 | grep -qx 'engine: sockmap'"
check "it shows what it is doing" grep -q splice_hang "$work/progress"

check "its results are the same while pdload accelerates its sockets" same_while_up

check "as nobody it exits 0" as_nobody
check "as nobody it says what needs root" grep -q 'CAP_BPF.*run pdload as root' "$work/nobody"
check "as nobody the last line says that there is no engine" \
	bash -c "tail -1 '$work/nobody' | grep -q '^engine: none'"
check "as nobody the JSON says so too" as_nobody --json
check "as nobody no engine and no result is claimed" \
	jq -es '.[0] | .engine == null and (.lacks | length > 0) and (.defects | length > 0)
		and all(.defects[]; .state == "could not test")' "$work/nobody"

status=0
"$PDLOAD" probe everything >"$work/why" 2>&1 || status=$?
check "an argument is a wrong command line" test "$status" -eq 2

echo "1..$cases"
[ "$failed" -eq 0 ]
