#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Which connections are accelerated: those with both ends on this host, whatever
# happens to their addresses on the way, and no other. Each on plain TCP first.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

CLEAN=duplex,upload,download,rr,halfclose,wclose,sclose
SOME=(--mix "$CLEAN" --connections 16 --total 200)

start_host
add_bridge left 10.1.0.254/24 fd01::254/64
add_bridge right 10.2.0.254/24 fd02::254/64
add_ns client left 10.1.0.1/24 fd01::1/64
add_ns neighbour left 10.1.0.2/24 fd01::2/64
add_ns server right 10.2.0.2/24 fd02::2/64
for ns in client neighbour; do
	ip -n $ns route add default via 10.1.0.254
	ip -n $ns route add default via fd01::254
done
ip -n server route add default via 10.2.0.254
ip -n server route add default via fd02::254

# ---- what is expected --------------------------------------------------------

# Every connection was made with both ends here, and every byte counted once.
all_are_accelerated() {
	local made
	made=$(done_of client started)

	is "$(since accelerated)" -eq "$made" &&
		is "$(since opened)" -eq "$made" &&
		is "$(since redirected_bytes)" -gt 0 &&
		wait_for 5 bytes_counted &&
		is "$(status enrolled)" -eq 0
}

none_is_accelerated() {
	is "$(since accelerated)" -eq 0 && is "$(since redirected_bytes)" -eq 0
}

# case_of SENTENCE EXPECTED EXCHANGE-ARGUMENTS...: in the mode that is on.
case_of() {
	local sentence=$1 expected=$2
	shift 2

	if [ "$mode" = plain ]; then
		check "plain: $sentence" exchange "$@"
		return
	fi
	before
	check "accelerated: $sentence" exchange "$@"
	check "accelerated: $sentence: ${expected//_/ }" "$expected"
}

# ---- address translation -----------------------------------------------------

# translate FAMILY KIND CLIENT-SIDE SERVER
translate() {
	local chain=(add chain "$1" nat) rule=(add rule "$1" nat)

	nft add table "$1" nat
	if [[ $2 == *dnat* ]]; then
		nft "${chain[@]}" pre '{ type nat hook prerouting priority -100; }'
		nft "${rule[@]}" pre "$1" daddr "$3" tcp dport 8000 counter dnat to "$4"
	fi
	if [[ $2 == *snat* ]]; then
		nft "${chain[@]}" post '{ type nat hook postrouting priority 100; }'
		nft "${rule[@]}" post oifname right counter masquerade
	fi
}

# Each rule has seen the connections.
was_translated() {
	nft list ruleset | grep 'counter packets' | grep -v 'packets 0 ' | grep -c . |
		grep -qx "$1"
}

translation_cases() {
	translate ip dnat 10.1.0.254 10.2.0.2:7000
	case_of "IPv4 through DNAT" all_are_accelerated \
		client in server in 10.2.0.2:7000 10.1.0.254:8000 -- --nat "${SOME[@]}"
	check "$mode: the addresses were translated" was_translated 1
	nft flush ruleset
	translate ip snat
	case_of "IPv4 through SNAT" all_are_accelerated \
		client in server in 10.2.0.2:7000 10.2.0.2:7000 -- --nat "${SOME[@]}"
	check "$mode: the addresses were translated" was_translated 1
	nft flush ruleset
	translate ip dnat,snat 10.1.0.254 10.2.0.2:7000
	case_of "IPv4 through DNAT and SNAT, the server speaks first" all_are_accelerated \
		client in server in 10.2.0.2:7000 10.1.0.254:8000 --greet -- \
		--greet --nat "${SOME[@]}"
	check "$mode: the addresses were translated" was_translated 2
	nft flush ruleset
	translate ip6 dnat,snat fd01::254 '[fd02::2]:7000'
	case_of "IPv6 through DNAT and SNAT" all_are_accelerated \
		client in server in '[fd02::2]:7000' '[fd01::254]:8000' -- --nat "${SOME[@]}"
	check "$mode: the addresses were translated" was_translated 2
	nft flush ruleset
}

# ---- ways that cannot be paired ----------------------------------------------

fastopen_was_used() {
	in_ns client nstat -asz TcpExtTCPFastOpenActive | grep -E 'FastOpenActive +[1-9]' &&
		is "$(since reasons.fastopen)" -gt 0
}

stays_on_tcp_cases() {
	case_of "MPTCP at both ends" none_is_accelerated \
		client in neighbour in 10.1.0.2:0 10.1.0.2:PORT --mptcp -- --mptcp "${SOME[@]}"
	[ "$mode" = plain ] || check "accelerated: MPTCP is the reason" \
		is "$(since reasons.mptcp)" -eq 200
	for ns in client neighbour; do
		# 0x200 and 4: without a cookie, so that each SYN has data.
		in_ns $ns sysctl -qw net.ipv4.tcp_fastopen=0x207
	done
	case_of "TCP Fast Open" none_is_accelerated \
		client in neighbour in 10.1.0.2:0 10.1.0.2:PORT --fastopen -- \
		--fastopen "${SOME[@]}"
	[ "$mode" = plain ] || check "accelerated: Fast Open is the reason" fastopen_was_used
}

for mode in plain accelerated; do
	[ $mode = plain ] || check "pdload up accelerates the group" up --all
	for io in level edge; do
		case_of "IPv4 over veth and bridge, $io" all_are_accelerated \
			client in neighbour in 10.1.0.2:0 10.1.0.2:PORT --io $io -- \
			--io $io "${SOME[@]}"
	done
	# Kernel defects that the engine inherits: eagain_after_half_close, eagain_in_blocking_recv.
	[ $mode = plain ] && blocking=(--io block) || blocking=(--io block --spurious)
	case_of "IPv4 over veth and bridge, blocking" all_are_accelerated \
		client in neighbour in 10.1.0.2:0 10.1.0.2:PORT "${blocking[@]}" -- \
		"${blocking[@]}" "${SOME[@]}"
	[ $mode = plain ] || echo "# blocking recv() gave EAGAIN $(done_of client spurious) times"
	case_of "the server speaks first" all_are_accelerated \
		client in neighbour in 10.1.0.2:0 10.1.0.2:PORT --greet -- --greet "${SOME[@]}"
	case_of "IPv6" all_are_accelerated \
		client in neighbour in '[fd01::2]:0' '[fd01::2]:PORT' -- "${SOME[@]}"
	case_of "IPv4-mapped client, dual-stack server" all_are_accelerated \
		client in neighbour in '[::]:0' '[::ffff:10.1.0.2]:PORT' -- "${SOME[@]}"
	case_of "IPv4 client, dual-stack server" all_are_accelerated \
		client in neighbour in '[::]:0' 10.1.0.2:PORT -- "${SOME[@]}"
	case_of "IPv4 loopback" all_are_accelerated \
		client in client in 127.0.0.1:0 127.0.0.1:PORT -- "${SOME[@]}"
	case_of "IPv6 loopback" all_are_accelerated \
		client in client in '[::1]:0' '[::1]:PORT' -- "${SOME[@]}"
	case_of "routed between two bridges" all_are_accelerated \
		client in server in 10.2.0.2:0 10.2.0.2:PORT -- "${SOME[@]}"
	translation_cases
	stays_on_tcp_cases
done

# ---- one end elsewhere -------------------------------------------------------

# held CLIENT_GROUP SERVER_GROUP: 50 connections that have spoken and wait.
held() {
	serve server neighbour "$2" 10.1.0.2:0 &&
		connect client client "$1" "10.1.0.2:${PORT[server]}" --mix rr --hold \
			--connections 50 --size 1-100K &&
		event client ready 20
}

client_is_back_on_tcp() {
	is "$(conns_with '.state == "declined" and .reason == "off_host" and
		(.client.enrolled or .server.enrolled | not)')" -eq 50 &&
		is "$(since reasons.off_host)" -eq 50 &&
		is "$(status enrolled)" -eq 0 && none_is_accelerated
}

server_never_enrols() {
	is "$(conns_with true)" -eq 0 && is "$(since opened)" -eq 0 && none_is_accelerated
}

before
check "a client talks to a remote server" held in out
check "a client of a remote server is back on plain TCP after its first message" \
	client_is_back_on_tcp
check "and goes on without a wrong byte" end_traffic
before
check "a server talks to remote clients" held out in
check "a server never enrols connections of remote clients" server_never_enrols
check "and goes on without a wrong byte" end_traffic

# ---- the same addresses and ports twice --------------------------------------

EACH=10000
TWINS=(--mix rr --hold --rounds 2 --size 1-4K --connections "$EACH" --first-port 20000
	--time-limit 180 --stall-limit 30)

for i in 1 2; do
	add_ns a$i twin$i 10.7.0.1/24
	add_ns b$i twin$i 10.7.0.2/24
done

twins_open() {
	for i in 1 2; do
		serve server$i b$i in 10.7.0.2:7000 --tenant $i --time-limit 180 \
			--stall-limit 30 || return 1
	done
	for i in 1 2; do
		connect client$i a$i in 10.7.0.2:7000 --tenant $i "${TWINS[@]}"
	done
	event client1 ready 90 && event client2 ready 90
}

twins_end() {
	tell client1 TERM
	tell client2 TERM
	ended client1 client2 || return 1
	tell server1 TERM
	tell server2 TERM
	ended server1 server2
}

# Two network namespaces see each 4-tuple, and no two connections share an id.
twins_are_paired() {
	is "$(status enrolled)" -eq $((2 * EACH)) || return 1
	"$PDLOAD" conns --json >"$WORK/conns.json"
	is "$(jq '[.[] | select(.state == "paired") | .id] | unique | length' \
		"$WORK/conns.json")" -eq $((2 * EACH)) &&
		is "$(jq '[.[] | [.client.address, .client.port, .server.port]] | unique | length' \
			"$WORK/conns.json")" -eq $EACH &&
		is "$(jq '[.[] | [.client.netns, .server.netns]] | unique | length' \
			"$WORK/conns.json")" -eq 2
}

before
check "two pairs with the same addresses and ports open $EACH connections each" twins_open
check "all of them are paired, each in its own two namespaces" twins_are_paired
check "not one byte crosses between them" twins_end
check "all of them were accelerated" is "$(since accelerated)" -eq $((2 * EACH))

check "pdload down succeeds" down
finish
