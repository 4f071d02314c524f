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
HAPROXY=10.77.0.4
GO=10.77.0.5
# With splice-auto, haproxy goes over to splice(2) when it sees a reason to: perhaps at the end only.
PROXIES=("$HAPROXY:80" "$HAPROXY:81" "$GO:80")

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
			timeout connect 10s
			timeout client 60s
			timeout server 60s
		listen auto
			bind $HAPROXY:80
			option splice-auto
			server nginx $SERVER:80
		listen always
			bind $HAPROXY:81
			option splice-response
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

is_traced() {
	! grep -qx $'TracerPid:\t0' "/proc/$1/status"
}

# splices END ADDRESS: most of a part of the file that the proxy forwards goes by splice(2),
# into a pipe and out of it.
splices() {
	local pid tracer spliced part=10000000

	pid=$(tail -1 "$CGROUPS/$TAG/$1/cgroup.procs")
	strace -f -qq -e trace=splice -o "$WORK/$1.strace" -p "$pid" &
	tracer=$!
	wait_for is_traced "$pid" || return 1
	bounded 30 on client curl -sS --fail -r "0-$((part - 1))" "http://$2/file" |
		cmp - <(head -c "$part" "$WORK/www/file") || return 1
	kill -INT "$tracer"
	wait "$tracer" || true
	spliced=$(awk '/splice/ && / = [0-9]+$/ { sum += $NF } END { printf "%d\n", sum }' "$WORK/$1.strace")
	echo "$spliced bytes spliced for $part"
	[ "$spliced" -ge "$part" ]
}

# fetch ADDRESS
fetch() {
	bounded 30 on client curl -sS --fail "http://$1/file" | sha256sum >"$result.$1"
	cmp "$WORK/sum" "$result.$1"
}

workload() {
	local address
	result=$WORK/$1.result

	[ "$ENGINE" != sockmap ] || fetch "$SERVER" || return 1
	for address in "${PROXIES[@]}"; do
		if ! fetch "$address"; then
			cat "$WORK/haproxy.log" "$WORK/go.log"
			return 1
		fi
	done
}

start_proxies() {
	start haproxy haproxy haproxy -db -f "$WORK/haproxy.cfg"
	start go go "$PROXY" "$GO:80" "$SERVER:80"
	wait_for listening 81 "$HAPROXY" && wait_for listening 80 "$GO"
}

setup_host
setup_pair
mkdir "$CGROUPS/$TAG/haproxy" "$CGROUPS/$TAG/go"
setup_end haproxy "$HAPROXY"
setup_end go "$GO"
make_file
configure
start nginx server nginx -c "$WORK/nginx.conf"
wait_for listening 80
check "haproxy and a Go proxy start" start_proxies
if [ "$ENGINE" = sockmap ]; then
	UP=(--policy "$WORK/policy.yaml")
else
	MIN_REDIRECTED=$((FILE_BYTES * 2 * ${#PROXIES[@]} * 9 / 10)) # to each proxy and from it
fi
compare_modes "a file of 200 MB through haproxy and through io.Copy of Go arrives unchanged"
check "haproxy splices" splices haproxy "$HAPROXY:81"
check "io.Copy of Go splices" splices go "$GO:80"
if [ "$ENGINE" = sockmap ]; then
	check "the connections of the proxies were left to TCP" [ "$(counter reasons.rule)" -ge $((2 * ${#PROXIES[@]})) ]
fi
check_down
finish
