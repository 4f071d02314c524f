#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The traffic generator, on which the other tests here rely, notices what it is
# there to notice.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

start_host
add_ns ns bridge 10.1.0.1/24

# One upload with a fault; the server must fail and say this.
server_notices() {
	local fault=$1 pattern=$2
	shift 2

	serve server ns out 127.0.0.1:0 "$@" || return 1
	connect client ns out "127.0.0.1:${PORT[server]}" --fault "$fault" --mix upload \
		--size 100K-1M "$@" || return 1
	# It ends by itself; that the client fails, too, is of no interest.
	wait "${PID[client]}" || true
	if wait "${PID[server]}"; then
		echo "the server has noticed nothing"
		return 1
	fi
	cat "$WORK/server.err"
	grep -E "$pattern" "$WORK/server.err" &&
		is "$(grep -c '"event": "done"' "$WORK/server.out")" -eq 1
}

# A reader that does not read although it should, and a sender with more than the kernel takes.
client_notices_stall() {
	serve server ns out 127.0.0.1:0 --stall || return 1
	connect client ns out "127.0.0.1:${PORT[server]}" --mix upload --size 64M-65M \
		--stall-limit 2 || return 1
	if wait "${PID[client]}"; then
		echo "the client has noticed nothing"
		return 1
	fi
	cat "$WORK/client.err"
	grep 'no progress for 2 s.*SIOCOUTQ [1-9]' "$WORK/client.err"
}

wrong_tenant() {
	serve server ns out 127.0.0.1:0 --tenant 2 || return 1
	connect client ns out "127.0.0.1:${PORT[server]}" --tenant 1 || return 1
	wait "${PID[client]}" || true
	! wait "${PID[server]}" && grep 'are of tenant 1' "$WORK/server.err"
}

for io in level block; do
	check "a flipped bit is noticed, $io" server_notices flip 'wrong byte at offset' --io $io
	check "lost bytes are noticed, $io" \
		server_notices lose 'belong to offset .* of the same direction' --io $io
	check "repeated bytes are noticed, $io" \
		server_notices repeat 'belong to offset .* of the same direction' --io $io
	check "bytes of another connection are noticed, $io" \
		server_notices stranger 'belong to offset .* of connection 1, direction 0' --io $io
	check "an end that comes too early is noticed, $io" \
		server_notices short 'end of file before the end' --io $io
done
check "bytes of another tenant are noticed" wrong_tenant
check "a stall is noticed, and the state printed" client_notices_stall
finish
