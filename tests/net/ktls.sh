#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's TLS: an accelerated connection is refused it, and its program goes on without;
# one that a rule leaves to TCP has it.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/lib.bash"

TOTAL=100
# The server speaks first: TLS is for connections that nobody has half-closed yet.
SOME=(--tls --greet --mix "duplex,upload,download,rr" --connections 8 --total "$TOTAL")

start_host
add_ns client bridge 10.1.0.1/24
add_ns server bridge 10.1.0.2/24

# One connection tells; that it works is for the case itself to say.
kernel_has_tls() {
	local status=0

	serve server server out 10.1.0.2:0 --tls || return 1
	connect client client out "10.1.0.2:${PORT[server]}" --tls
	wait "${PID[client]}" || status=$?
	tell server KILL 2>/dev/null || true
	[ "$status" -ne 77 ]
}

traffic() {
	exchange client in server in 10.1.0.2:0 10.1.0.2:PORT --tls --greet -- "${SOME[@]}"
}

# have_tls COUNT: so many of each side.
have_tls() {
	is "$(done_of client tls)" -eq "$1" && is "$(done_of server tls)" -eq "$1"
}

all_were_refused() {
	have_tls 0 && is "$(since reasons.ulp)" -eq $((2 * TOTAL)) &&
		is "$(since accelerated)" -eq $TOTAL && is "$(since redirected_bytes)" -gt 0
}

none_is_accelerated() {
	have_tls $TOTAL && is "$(since reasons.ulp)" -eq 0 && is "$(since accelerated)" -eq 0 &&
		is "$(since redirected_bytes)" -eq 0
}

if ! kernel_has_tls; then
	skip "kernel TLS" "this kernel has none (CONFIG_TLS)"
	finish
	exit
fi
check "plain: every byte is right" traffic
check "plain: all have it" have_tls $TOTAL
echo "{version: 1, default: bypass}" >"$WORK/none.yaml"
for ENGINE in ${ENGINES:-$ENGINE}; do
	check "$ENGINE: pdload up" up --all
	before
	check "$ENGINE: every byte is right" traffic
	check "$ENGINE: all were refused, and counted" all_were_refused
	check "$ENGINE: a policy that bypasses all" "$PDLOAD" policy apply "$WORK/none.yaml"
	before
	check "$ENGINE, bypassed: every byte is right" traffic
	check "$ENGINE, bypassed: all have it" none_is_accelerated
	check "$ENGINE: pdload down" down
done
finish
