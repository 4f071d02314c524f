#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# A channel of a real driver hangs: its interrupt is masked at the interrupt controller. Traffic
# goes on and every byte is right, the channel is retired, and comes back when it works again.
# Runs on the machine of tools/vm/arm64-test.sh.
set -euo pipefail
# shellcheck source=tests/vm-arm64/lib.bash
. "$(dirname "$0")/lib.bash"

# The first channel's interrupt is number 92 of the GIC, that is, this bit of the registers that
# set the enabled ones, clear them, and have the pending ones.
BIT=0x10000000
UNMASK=0xf9000108
MASK=0xf9000188
PENDING=0xf9000208
TIMEOUT_MS=300

is_masked() { (($(devmem $MASK 32) & BIT)) && return 1 || return 0; }
mask() { devmem $MASK 32 $BIT && is_masked; }
unmask() { devmem $UNMASK 32 $BIT && ! is_masked; }
is_pending() { (($(devmem $PENDING 32) & BIT)); }

# It has ended, and DMA has copied on each channel that is named.
traffic_by_channels() {
	local before

	before=$(copies)
	traffic_is_right && moved "$before" "$@"
}

comes_late() {
	local timeouts

	timeouts=$(counter DmaTimeouts)
	pdload engines --timeout 60000 && mask && start duplex && wait_for 60 is_pending &&
		kill -0 "$client" && unmask && end && is "$(counter DmaTimeouts)" -eq "$timeouts"
}

is_retired() { of_channels '.[0].state == "retired"'; }
is_active() { of_channels '.[0].state == "active"'; }

# Until it is retired, for a faulty copy is forgotten after many good ones.
traffic_until_retired() {
	local i

	for i in 1 2 3 4 5; do
		traffic_is_right || return 1
		! is_retired || return 0
	done
	return 1
}

only_the_first_failed() {
	of_channels '.' && of_channels '(.[0].timeouts >= 3) and (.[1:] | length == 7
		and all(.state == "active" and .timeouts == 0 and .errors == 0))'
}

was_redone() {
	echo "DmaTimeouts $(counter DmaTimeouts), DmaRedone $(counter DmaRedone)"
	is "$(counter DmaTimeouts)" -ge 3 && is "$(counter DmaRedone)" -gt 0
}

# none_hung_since TIMEOUTS
none_hung_since() {
	eight_channels && is "$(counter DmaTimeouts)" -eq "$1"
}

stands_still() {
	local before

	before=$(copies)
	traffic_is_right && is "$(copies | cut -d ' ' -f 1)" = "${before%% *}"
}

start_machine unmeasured
check "streams are right, and each channel copies" traffic_by_channels 0 1 2 3 4 5 6 7
check "an interrupt that comes late is waited for" comes_late
check "pdload engines --timeout $TIMEOUT_MS" pdload engines --timeout $TIMEOUT_MS
check "the first channel's interrupt is masked" mask
check "streams go on, and every byte is right, until the channel is retired" traffic_until_retired
check "time limits were passed, and the CPU did again what the channel had not" was_redone
note <"$WORK/check.log"
check "only that channel has failed" only_the_first_failed
check "it copies nothing any more, and the streams are right" stands_still
check "pdload engines --reset while it hangs still" pdload engines --reset
check "it is active again" is_active
check "streams are right, and it is retired again" traffic_until_retired
check "its interrupt is there again" unmask
check "without a reset it stays retired" stands_still
check "pdload engines --reset" pdload engines --reset
timeouts=$(counter DmaTimeouts)
check "streams are right, and each channel copies" traffic_by_channels 0 1 2 3 4 5 6 7
check "no limit was passed any more, and all are active" none_hung_since "$timeouts"
check "pdload down" pdload down
finish
