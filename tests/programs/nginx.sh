#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# nginx: a large file with sendfile and without, many small ones at once over
# kept connections, and wrk.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

LARGE_BYTES=$(share 1000000000)
SMALL_FILES=$(share 200)

make_files() {
	local i n step=$((LARGE_BYTES / (SMALL_FILES + 1)))

	mkdir -p "$WORK/www" "$WORK/got"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null |
		head -c "$LARGE_BYTES" >"$WORK/www/large" || true
	for ((i = 1; i <= SMALL_FILES; i++)); do
		n=$((i * 200 / SMALL_FILES)) # so that a few are of all sizes, too
		tail -c "+$((i * step))" "$WORK/www/large" | head -c $((n * n * 17 % 300000)) \
			>"$WORK/www/small.$i" || true
	done
	(cd "$WORK/www" && b2sum small.* | LC_ALL=C sort) >"$WORK/small.sums"
	b2sum <"$WORK/www/large" >"$WORK/large.sum"
}

configure() {
	cat >"$WORK/nginx.conf" <<-END
		user root;
		daemon off;
		worker_processes 2;
		pid $WORK/nginx.pid;
		error_log $WORK/nginx.error;
		events { worker_connections 512; }
		http {
			access_log off;
			client_body_temp_path $WORK/body;
			proxy_temp_path $WORK/proxy;
			fastcgi_temp_path $WORK/fastcgi;
			uwsgi_temp_path $WORK/uwsgi;
			scgi_temp_path $WORK/scgi;
			server {
				listen $SERVER:80;
				root $WORK/www;
				location /sendfile/ { alias $WORK/www/; sendfile on; tcp_nopush on; }
				location /copied/ { alias $WORK/www/; sendfile off; }
			}
		}
	END
}

# large LOCATION
large() {
	bounded 60 on client curl -sS --fail "http://$SERVER/$1/large" |
		b2sum >"$result.large_$1"
	cmp "$WORK/large.sum" "$result.large_$1"
}

# small LOCATION: several connections, each used again.
small() {
	rm -rf "$WORK/got"
	mkdir "$WORK/got"
	bounded 30 on client curl -sS --fail --parallel --parallel-max 8 \
		"http://$SERVER/$1/small.[1-$SMALL_FILES]" -o "$WORK/got/small.#1" || return 1
	(cd "$WORK/got" && b2sum small.* | LC_ALL=C sort) >"$result.small_$1"
	cmp "$WORK/small.sums" "$result.small_$1"
}

# load LOCATION: what wrk counts as an error must not happen.
load() {
	bounded 20 on client wrk -t 2 -c 40 -d 1 "http://$SERVER/$1/small.$SMALL_FILES" >"$WORK/wrk" || return 1
	cat "$WORK/wrk"
	grep -q 'Requests/sec' "$WORK/wrk" && ! grep -E 'Non-2xx|Socket errors' "$WORK/wrk"
}

workload() {
	local location
	result=$WORK/$1.result

	for location in sendfile copied; do
		if ! large "$location" || ! small "$location" || ! load "$location"; then
			echo "location /$location/"
			return 1
		fi
	done
	if grep -v -E 'notice|client .* closed' "$WORK/nginx.error"; then
		return 1
	fi
}

setup_host
setup_pair
make_files
configure
start nginx server nginx -c "$WORK/nginx.conf"
wait_for listening 80
compare_modes "nginx serves files of all sizes with the right bytes"
check_down
finish
