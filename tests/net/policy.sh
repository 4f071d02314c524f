#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The policy is changed, connections are flushed, and pdload goes down and up
# again, all under full load: no byte is lost, no connection breaks.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24

# Under either of these a connection to port 7000 is accelerated, by a rule of one and by the
# default of the other; half of one and half of the other would bypass it.
cat >"$WORK/a.yaml" <<-'END'
	version: 1
	default: bypass
	rules:
	  - name: seven-thousand
	    action: accelerate
	    server: {ports: [7000]}
END
cat >"$WORK/b.yaml" <<-'END'
	version: 1
	default: accelerate
	rules:
	  - name: nine-thousand
	    action: bypass
	    server: {ports: [9000]}
END
printf 'version: 1\ndefault: bypass\n' >"$WORK/none.yaml"
printf 'version: 1\ndefault: accelerate\nrules: [{name: x, action: perhaps}]\n' >"$WORK/bad.yaml"

# Load that goes on until told: long connections at full speed, request and answer with pauses in
# between, and short connections all the time.
LONG=(--mix "forever,rr" --rounds 0 --connections 16 --size 1-64K)
SHORT=(--mix "duplex,rr,halfclose,wclose,sclose,upload,download" --size 1-64K --rounds 3
	--connections 8 --total 10000000)

start_load() {
	local io

	for io in level edge; do
		serve "server-$io" server in 10.1.0.2:0 --io "$io" --time-limit 300 || return 1
		connect "long-$io" client in "10.1.0.2:${PORT[server-$io]}" --io "$io" \
			--time-limit 300 "${LONG[@]}" || return 1
		connect "short-$io" client in "10.1.0.2:${PORT[server-$io]}" --io "$io" \
			--time-limit 300 "${SHORT[@]}" || return 1
	done
}

# Everything still runs; each ends its streams when told, and both ends agree on each of them.
end_load() {
	local io

	for io in level edge; do
		tell "long-$io" TERM && tell "short-$io" TERM || return 1
		ended "long-$io" "short-$io" || return 1
		tell "server-$io" TERM
		ended "server-$io" || return 1
		echo "# $io: $(done_of "server-$io" started) connections," \
			"$(done_of "server-$io" received) bytes received" >&3
		is "$(done_of "server-$io" aborted)" -eq 0 || return 1
	done
}

connections_came_and_went() {
	is "$(in_ns client ss -Htn state time-wait | wc -l)" -gt 1000
}

still_running() {
	local key

	for key in long-level long-edge short-level short-edge; do
		kill -0 "${PID[$key]}" || return 1
	done
}

# At least that many bytes are redirected, or go over TCP, from now on.
moves() {
	before
	wait_for 20 moved "$1" "$2"
}

moved() {
	is "$(since "$1")" -ge "$2"
}

swap_policies() {
	local i

	for i in {1..15}; do
		"$PDLOAD" policy apply "$WORK/none.yaml" &&
			"$PDLOAD" policy apply "$WORK/a.yaml" &&
			"$PDLOAD" policy apply "$WORK/b.yaml" || return 1
		still_running || return 1
	done
}

flush_again_and_again() {
	local i

	for i in {1..10}; do
		if ! "$PDLOAD" flush --drain 20; then
			echo "flush $i"
			return 1
		fi
		moves redirected_bytes 200000 || return 1
		still_running || return 1
	done
}

down_and_up_again() {
	local i

	for i in {1..8}; do
		if ! down; then
			echo "down $i"
			return 1
		fi
		still_running || return 1
		up --all || return 1
		moves redirected_bytes 200000 || return 1
	done
}

running_policy() {
	"$PDLOAD" policy show --json | jq -c '[.generation, .default, .rules[].name]'
}

bad_policy_is_refused() {
	local before after status=0

	before=$(running_policy)
	"$PDLOAD" policy apply "$WORK/bad.yaml" || status=$?
	after=$(running_policy)
	is "$status" -eq 6 && is "$before" = "$after"
}

check "plain: the load runs" start_load
check "plain: connections come and go" wait_for 20 connections_came_and_went
check "plain: the load ends well when told" end_load 3>&1

check "pdload up" up --all
check "the load runs" start_load
check "and is redirected" moves redirected_bytes 20000000
check "the policy is changed 45 times under load" swap_policies
check "a bad policy is refused whole, the running one stays" bad_policy_is_refused
check "and new connections are redirected" moves redirected_bytes 5000000
check "live connections are flushed 10 times under load" flush_again_and_again
check "pdload goes down and up 8 times under load" down_and_up_again
check "pdload down" down
check "every connection still works" still_running
check "no byte was lost, no connection broke" end_load 3>&1

# ---- what was paired goes on after `down` -------------------------------------

check "pdload up" up --all
check "200 connections have talked and rest" hold 200 --rounds 5 --size 1-2M
check "all of them are enrolled" is "$(status enrolled)" -eq 200
check "pdload flush puts them back on TCP" "$PDLOAD" flush
check "none of them is enrolled" is "$(status enrolled)" -eq 0
check "they go on without a wrong byte" end_traffic
check "200 more have talked and rest" hold 200 --rounds 5 --size 1-2M
check "pdload down puts them back on TCP" down
check "they go on without a wrong byte" end_traffic

# ---- one policy or the other ----------------------------------------------------

# Nor is anything left of the rule that had its number before.
nothing_is_of() {
	is "$("$PDLOAD" policy show --json | jq --arg name "$1" '.rules[] | select(.name == $name) |
		.accelerated + .bypassed + .redirected_bytes + .tcp_bytes')" -eq 0
}

decided_by_one_or_the_other() {
	local n=0

	serve server server in 10.1.0.2:7000 --time-limit 60 || return 1
	connect client client in 10.1.0.2:7000 --mix duplex --size 1-1K --connections 16 \
		--total 8000 --rate 2000 --time-limit 60 || return 1
	while kill -0 "${PID[client]}" 2>/dev/null; do
		"$PDLOAD" policy apply "$WORK/a.yaml" && "$PDLOAD" policy apply "$WORK/b.yaml" &&
			nothing_is_of nine-thousand || return 1
		n=$((n + 2))
	done
	ended client || return 1
	tell server TERM
	ended server || return 1
	echo "# policies applied: $n" >&3
	is "$n" -gt 20 && is "$(since opened)" -eq 8000 && is "$(since accelerated)" -eq 8000 &&
		is "$(since reasons.rule)" -eq 0 && is "$(since reasons.default)" -eq 0
}

# ---- what is said of each rule -----------------------------------------------------

# A client does not know yet that the first of these is not the one.
cat >"$WORK/two.yaml" <<-'END'
	version: 1
	default: bypass
	rules:
	  - name: nine-thousand
	    action: accelerate
	    server: {ports: [9000]}
	  - name: seven-thousand
	    action: accelerate
	    server: {ports: [7000]}
END

# events NAME COUNT: so many have been seen.
events() {
	[ "$(grep -c "\"$1\"" "$WORK/watch.out")" -ge "$2" ]
}

is_watching() {
	[ "$(status watching)" = true ]
}

# watched CMD...: with the events of the meantime in watch.out.
watched() {
	local status=0

	spawn watch - out "$PDLOAD" watch --json --seconds 60
	{ wait_for 10 is_watching && "$@"; } || status=1
	tell watch TERM
	ended watch || status=1
	cat "$WORK/watch.out"
	return $status
}

talk_on_7000() {
	serve server server in 10.1.0.2:7000 || return 1
	connect client client in 10.1.0.2:7000 --mix duplex --size 1-64K --connections 20 || return 1
	ended client || return 1
	tell server TERM
	ended server || return 1
	wait_for 10 events close 40
}

SAYS='import os, socket, sys, time
socket.setdefaulttimeout(20 * int(os.environ["PATIENCE"]))
s = socket.create_server(("10.1.0.2", int(sys.argv[1])))
print("ready", flush=True)
c, _ = s.accept()
time.sleep(0.2)  # the client is out of connect()
c.sendall(b"x" * 100000)
c.close()'
LISTENS='import os, socket, struct, sys, time
socket.setdefaulttimeout(20 * int(os.environ["PATIENCE"]))
c = socket.create_connection(("10.1.0.2", int(sys.argv[1])))
time.sleep(0.5)
left = 100000
while left:
    left -= len(c.recv(left))
assert not c.recv(1)
if sys.argv[2] == "abort":
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
c.close()'

is_ready() {
	grep -q ready "$WORK/server.out"
}

# talks_first GROUP PORT END EVENT COUNT: a server of that group says what it has to say, and closes;
# then the client reads, and closes or aborts, which makes so many events.
talks_first() {
	spawn server server "$1" python3 -c "$SAYS" "$2"
	wait_for 10 is_ready || return 1
	spawn client client in python3 -c "$LISTENS" "$2" "$3"
	ended client server && wait_for 10 events "$4" "$5"
}

# The server's end has gone when the client's first round trip is over, or is cut short.
silent_client_was_accelerated() {
	before
	watched talks_first in 7000 "$1" close 2 || return 1
	is "$(since accelerated)" -eq 1 && is "$(since redirected_bytes)" -eq 100000 &&
		is "$(since reasons.off_host)" -eq 0 &&
		is "$(jq -s 'map(select(.rule != "seven-thousand" or .event == "decline" or .server.cgroup == null)) | length' "$WORK/watch.out")" -eq 0
}

# Which rule would have been the one nobody knows.
remote_server_has_no_rule() {
	before
	watched talks_first out 7100 close decline 1 || return 1
	is "$(since reasons.off_host)" -eq 1 &&
		is "$(jq -s 'map(select(.event == "decline" and .reason == "off_host" and .rule == null)) | length' "$WORK/watch.out")" -eq 1
}

# FIELD of rule NAME
of_rule() {
	"$PDLOAD" status --json | jq --arg name "$2" ".rules[] | select(.name == \$name).$1"
}

all_is_charged_to_the_second() {
	jq -r 'select(.rule != "seven-thousand") | "\(.event) of \(.rule)"' "$WORK/watch.out" | sort | uniq -c
	is "$(of_rule redirected_bytes nine-thousand)" -eq 0 &&
		is "$(of_rule tcp_bytes nine-thousand)" -eq 0 &&
		is "$(of_rule accelerated seven-thousand)" -eq 20 &&
		is "$(of_rule redirected_bytes seven-thousand)" -eq "$(status redirected_bytes)" &&
		is "$(of_rule tcp_bytes seven-thousand)" -eq "$(status tcp_bytes)" &&
		is "$(jq -s 'map(select(.rule != "seven-thousand")) | length' "$WORK/watch.out")" -eq 0
}

check "pdload up with two rules" up --policy "$WORK/two.yaml"
check "connections that the second is for come and go" watched talk_on_7000
check "it is all charged to that one" all_is_charged_to_the_second
for how in close abort; do
	check "and a client's that says nothing before its server has gone, $how" \
		silent_client_was_accelerated $how
done
check "a connection to elsewhere is of no rule" remote_server_has_no_rule
check "pdload down" down

# ---- a reader that does not read -----------------------------------------------------

stalls() {
	serve server server in 10.1.0.2:7000 --io edge --stall &&
		connect client client in 10.1.0.2:7000 --io edge --mix flood --connections 1 &&
		event client settled 30
}

READS='import os, socket
socket.setdefaulttimeout(60 * int(os.environ["PATIENCE"]))
s = socket.create_server(("10.1.0.2", 7000))
print("ready", flush=True)
c, _ = s.accept()
while c.recv(65536):
    pass'
SENDS='import os, signal, socket
socket.setdefaulttimeout(60 * int(os.environ["PATIENCE"]))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
c = socket.create_connection(("10.1.0.2", 7000))
for rest in range(3):
    c.sendall(b"x" * 1000000)
    print("rests", flush=True)
    signal.sigtimedwait({signal.SIGUSR1}, 30 * int(os.environ["PATIENCE"]))'

rests() {
	is "$(grep -c rests "$WORK/client.out")" -eq "$1"
}

# By a program that never reads and is at rest meanwhile: none of ours sees it send any more.
sends_on_after_flush() {
	counted_after_flush && return 0
	tell client KILL
	tell server KILL
	return 1
}

has_sent_over_tcp() {
	is "$(conns_with ".state == \"released\" and .client.tcp_bytes == $1")" -eq 1
}

counted_after_flush() {
	local from i

	spawn server server in python3 -c "$READS"
	wait_for 10 is_ready || return 1
	spawn client client in python3 -c "$SENDS"
	wait_for 10 rests 1 && is "$(conns_with '.client.redirected_bytes > 100000')" -eq 1 || return 1
	"$PDLOAD" flush || return 1
	from=$("$PDLOAD" conns --json | jq '.[].client.tcp_bytes')
	for i in 1 2; do
		tell client USR1
		wait_for 10 rests $((i + 1)) &&
			wait_for 10 has_sent_over_tcp $((from + i * 1000000)) || return 1
	done
	tell client USR1
	ended client server
}

# says STATUS PATTERN CMD...
says() {
	local expected=$1 pattern=$2 status=0
	shift 2

	"$@" >"$WORK/out" 2>&1 || status=$?
	cat "$WORK/out"
	is $status -eq "$expected" && grep -E "$pattern" "$WORK/out"
}

says_so_in_json() {
	[ "$(status draining)" = true ] && is "$(status draining_bytes)" -gt 100000
}

reads_on() {
	tell server USR1
	tell client TERM
	ended client && tell server TERM && ended server
}

HELD='not drained: 10.1.0.1:[0-9]+ -> 10.1.0.2:7000, 10.1.0.2:7000 has [0-9.]+[KM] to read, of .*/in$'
check "pdload up" up --policy "$WORK/a.yaml"
check "what is sent after a flush is counted as it goes" sends_on_after_flush
check "a server reads nothing" stalls
check "pdload flush names it" says 4 "$HELD" "$PDLOAD" flush --drain 1
check "pdload down names it" says 4 "$HELD" "$PDLOAD" down --drain 1
check "status says what is to be read" says 0 '^draining +[0-9.]+[KM] of' "$PDLOAD" status
check "in JSON, too" says_so_in_json
check "up says that it is going down" says 1 'is going down' up --all
check "policy apply does, too" says 0 'is going down' "$PDLOAD" policy apply "$WORK/a.yaml"
check "the server reads, and every byte is right" reads_on
check "pdload down" down

check "pdload up with a policy" up --policy "$WORK/a.yaml"
before
check "8000 connections are decided by one policy or the other, never by half of each" \
	decided_by_one_or_the_other 3>&1
check "pdload down" down
finish
