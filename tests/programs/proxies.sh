#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Proxies that splice from socket to socket: haproxy, and io.Copy of Go. The module
# carries their connections. With sockmap, where splice(2) does not see redirected
# bytes, a policy keeps them on TCP, and what goes past them is accelerated.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

FILE_BYTES=200000000
PROXY=$(realpath "${BUILD:-build}/tests/programs/proxy")
declare -A ADDRESS=([haproxy]=10.77.0.4 [go]=10.77.0.5)

make_file() {
	mkdir "$WORK/www"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null |
		head -c "$FILE_BYTES" >"$WORK/www/file" || true
	sha256sum <"$WORK/www/file" >"$WORK/sum"
}

configure() {
	cat >"$WORK/nginx.conf" <<-END
		user root;
		daemon off;
		pid $WORK/nginx.pid;
		error_log $WORK/nginx.error;
		events {}
		http {
			access_log off;
			server { listen $SERVER:80; root $WORK/www; sendfile on; }
		}
	END
	cat >"$WORK/haproxy.cfg" <<-END
		global
			maxconn 100
		defaults
			mode tcp
			option splice-auto
			timeout connect 10s
			timeout client 60s
			timeout server 60s
		listen file
			bind ${ADDRESS[haproxy]}:80
			server nginx $SERVER:80
	END
	cat >"$WORK/policy.yaml" <<-END
		version: 1
		default: accelerate
		rules:
		  - {name: to-proxies, action: bypass, server: {cgroup: ["/$TAG/haproxy", "/$TAG/go"]}}
		  - {name: from-proxies, action: bypass, client: {cgroup: ["/$TAG/haproxy", "/$TAG/go"]}}
	END
}

# A proxy splices through pipes, which it keeps for the next time.
pipes_of() {
	local pid

	while read -r pid; do
		find "/proc/$pid/fd" -lname 'pipe:*'
	done <"$CGROUPS/$TAG/$1/cgroup.procs" | wc -l
}

# fetch NAME ADDRESS
fetch() {
	bounded 30 on client curl -sS --fail "http://$2/file" | sha256sum >"$result.$1"
	cmp "$WORK/sum" "$result.$1"
}

workload() {
	local name
	result=$WORK/$1.result

	[ "$ENGINE" = cpu ] || fetch direct "$SERVER" || return 1
	for name in "${!ADDRESS[@]}"; do
		if ! fetch "$name" "${ADDRESS[$name]}"; then
			cat "$WORK/$name.log"
			return 1
		fi
	done
}

start_proxies() {
	start haproxy haproxy haproxy -db -f "$WORK/haproxy.cfg"
	start go go "$PROXY" "${ADDRESS[go]}:80" "$SERVER:80"
	wait_for listening 80 "${ADDRESS[haproxy]}" && wait_for listening 80 "${ADDRESS[go]}"
}

setup_host
setup_pair
for name in "${!ADDRESS[@]}"; do
	mkdir "$CGROUPS/$TAG/$name"
	setup_end "$name" "${ADDRESS[$name]}"
done
make_file
configure
start nginx server nginx -c "$WORK/nginx.conf"
wait_for listening 80
check "haproxy and a Go proxy start" start_proxies
declare -A pipes
for name in "${!ADDRESS[@]}"; do
	pipes[$name]=$(pipes_of "$name")
done
if [ "$ENGINE" = sockmap ]; then
	UP=(--policy "$WORK/policy.yaml")
else
	MIN_REDIRECTED=$((FILE_BYTES / 10 * 9 * 2 * ${#ADDRESS[@]})) # to each proxy and from it
fi
compare_modes "a file of 200 MB through haproxy and through io.Copy of Go arrives unchanged"
for name in "${!ADDRESS[@]}"; do
	check "$name has spliced" [ "$(pipes_of "$name")" -gt "${pipes[$name]}" ]
done
if [ "$ENGINE" = sockmap ]; then
	check "the four connections of the proxies were left to TCP" [ "$(counter reasons.rule)" -ge 4 ]
fi
check_down
finish
