#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Containers: a published port, reached from the host and from another
# container, and the container's own address; names in pdload conns.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash
# shellcheck source=tools/demo/containers.bash
. tools/demo/containers.bash

WEB=10.89.77.2
VISITOR=10.89.77.3
GATEWAY=10.89.77.1 # the host's address on the bridge

make_files() {
	mkdir "$WORK/www"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null |
		head -c 50000000 >"$WORK/www/file" || true
	b2sum <"$WORK/www/file" >"$WORK/sum"
	cat >"$WORK/nginx.conf" <<-END
		daemon off;
		error_log stderr;
		events {}
		http {
			access_log off;
			server { listen 80; root /www; sendfile on; }
		}
	END
}

# fetch NAME CMD...: CMD prints the file.
fetch() {
	local name=$1
	shift

	bounded 30 "$@" >"$WORK/fetched" || return 1
	b2sum <"$WORK/fetched" >"$result.$name"
	cmp "$WORK/sum" "$result.$name"
}

on_host() {
	# shellcheck disable=SC2016  # for the inner shell
	namespaces_run sh -c 'echo 0 >"$0" && exec "$@"' "$CGROUPS/$TAG/client/cgroup.procs" "$@"
}

workload() {
	local get=(curl -sS --fail --max-time 20)

	result=$WORK/$1.result
	fetch from_host_to_gateway on_host "${get[@]}" "http://$GATEWAY:8080/file" &&
		fetch from_host_directly on_host "${get[@]}" "http://$WEB/file" &&
		fetch from_container_by_published_port containers_exec visitor "${get[@]}" "http://$GATEWAY:8080/file" &&
		fetch from_container_directly containers_exec visitor "${get[@]}" "http://$WEB/file"
}

# What pdload conns says of a slow download over the published port.
names_are_shown() {
	local rows

	containers_exec visitor curl -sS --limit-rate 1M "http://$GATEWAY:8080/file" >/dev/null 2>&1 &
	disown $!
	wait_for shown
	rows=$(namespaces_run "$PDLOAD" conns)
	echo "$rows"
	grep -q web <<<"$rows" && grep -q visitor <<<"$rows"
}

shown() {
	namespaces_run "$PDLOAD" conns | grep -q "$WEB"
}

setup_host
make_files
rootfs=$(tools/rootfs.sh)
containers_start "$rootfs"
containers_run web "$WEB" -p 8080:80 -v "$WORK/www:/www:ro" -v "$WORK/nginx.conf:/nginx.conf:ro" -- \
	nginx -c /nginx.conf
containers_run visitor "$VISITOR" -- sleep infinity
wait_for on_host bash -c ": </dev/tcp/$WEB/80"
compare_modes "a container's published port and its own address serve the right bytes"
check "each of the four connections was accelerated" [ "$(counter accelerated)" -eq 4 ]
check "pdload conns names both containers of a connection through a published port" names_are_shown
check_down
check "the shared root file system was not changed" [ "$(tools/rootfs.sh 2>/dev/null)" = "$rootfs" ]
finish
