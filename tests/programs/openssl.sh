#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# openssl s_server and s_client: a file each way through TLS.
set -euo pipefail
# shellcheck source=tests/programs/lib.bash
. tests/programs/lib.bash

FILE_BYTES=$(share 50000000)

make_files() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test \
		-keyout "$WORK/key" -out "$WORK/cert" 2>/dev/null
	mkdir "$WORK/www"
	openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null |
		head -c "$FILE_BYTES" >"$WORK/www/file" || true
}

# The server reads the file from its own directory and ends with the connection.
to_client() {
	printf 'GET /file HTTP/1.0\r\n\r\n' |
		bounded 30 on client openssl s_client -connect "$SERVER:4433" -quiet 2>"$WORK/s_client.log" |
		tail -c "$FILE_BYTES" | sha256sum >"$result.to_client"
}

# Both ends give up when their input ends, so these stay open until all has arrived.
to_server() {
	# shellcheck disable=SC2016  # for the inner shell
	start s_server server bash -c 'exec "$@" < <(exec sleep "$0") 2>/dev/null' $((60 * PATIENCE)) \
		openssl s_server -accept "$SERVER:4434" -cert "$WORK/cert" -key "$WORK/key" -quiet -naccept 1
	wait_for on server sh -c 'ss -Hltn sport = :4434 | grep -q .' || return 1
	{
		cat "$WORK/www/file"
		wait_for received_by_server
	} | bounded 30 on client openssl s_client -connect "$SERVER:4434" -quiet -no_ign_eof -nocommands \
		>/dev/null 2>"$WORK/s_client.log"
	head -c "$FILE_BYTES" "$WORK/s_server.log" | sha256sum >"$result.to_server"
}

received_by_server() {
	[ "$(stat -c %s "$WORK/s_server.log")" -ge "$FILE_BYTES" ]
}

workload() {
	result=$WORK/$1.result
	if ! to_client || ! to_server; then
		cat "$WORK/s_client.log"
		return 1
	fi
	cmp "$result.to_client" "$result.to_server"
}

setup_host
setup_pair
make_files
start https server env -C "$WORK/www" openssl s_server -accept "$SERVER:4433" -cert "$WORK/cert" \
	-key "$WORK/key" -WWW
wait_for listening 4433
compare_modes "TLS carries a file each way"
check "the file that arrived is the one that was sent" \
	[ "$(sha256sum <"$WORK/www/file")" = "$(cat "$WORK/accelerated.result.to_server")" ]
check_down
finish
