# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests on the machine with a real driver of DMA channels share (tools/vm/arm64-test.sh).
#
#     start_machine WAY     pdload is up with engine dma, which copies from 4 KiB on; WAY is
#                           measured, as ever, or unmeasured, which takes half a minute less
#     counter NAME          of the module
#     of_channels FILTER    jq's, of the list of channels that pdload shows
#     copies                how many each channel has made
#     moved COPIES N...     the channels numbered N have made more since
#     wait_for SECONDS CMD...
#     start MIX [ARG...]    streams whose both ends check every byte; ARG for the client
#     end                   they have ended, and all was right
#     traffic_is_right      both, of streams each way

DRIVER=xilinx-zynqmp-dma
THRESHOLD=4096
# shellcheck source=tests/tap.bash
. "$(dirname "${BASH_SOURCE[0]}")/../tap.bash"
WORK=/tmp/work

counter() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/pipedevice_stat
}

of_channels() {
	pdload engines --json | jq -er ".channels | $1"
}

copies() { of_channels 'map(.copies) | join(" ")'; }

moved() {
	local was now i
	read -ra was <<<"$1"
	shift

	read -ra now <<<"$(copies)"
	echo "copies: ${was[*]}, now ${now[*]}"
	for i; do
		[ "${now[i]}" -gt "${was[i]}" ] || return 1
	done
}

is() { [ "$@" ]; }

wait_for() {
	local deadline=$((SECONDS + $1))
	shift

	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		usleep 10000
	done
}

start() {
	local args=(--io block --stall-limit 60 --time-limit 150) mix=$1
	shift

	traffic server --listen 127.0.0.1:7000 --total 4 "${args[@]}" >"$WORK/server" 2>&1 &
	server=$!
	wait_for 10 grep -q listening "$WORK/server" || return 1
	traffic client --connect 127.0.0.1:7000 --total 4 --connections 4 --mix "$mix" --size 1M-2M \
		--write 4K-256K --read 64K-256K "${args[@]}" "$@" >"$WORK/client" 2>&1 &
	client=$!
}

end() {
	local status=0

	wait "$server" || status=1
	wait "$client" || status=1
	cat "$WORK/server" "$WORK/client"
	return $status
}

traffic_is_right() { start duplex && end; }

# Busybox's dmesg does not tell who wrote a line; nobody but the kernel uses these words here. What
# is on the console tools/vm/arm64.sh judges once more.
kernel_is_quiet() {
	# shellcheck disable=SC2154 # of tap.bash
	! dmesg | sed -n "/$kernel_mark/,\$p" |
		grep -E 'WARNING: |BUG: |Oops|Unable to handle|refcount_t|soft lockup|INFO: (task|rcu)|zynqmp.*error'
}

eight_channels() {
	of_channels "length == 8 and all(.driver == \"$DRIVER\" and .state == \"active\")"
}

was_measured() {
	pdload engines --json | jq -e '[.measured[] | select(.cpu_ns and .one_ns and .all_ns) | .pages]
		| unique == ["huge", "ordinary"]'
}

switch_on() { echo "dma on" >/proc/pipedevice_engines; }

start_machine() {
	if [ "$(hostname)" != pipedevice-vm ]; then
		echo "Bail out! loads modules: only for a machine of tools/vm/arm64-test.sh"
		exit 1
	fi
	mkdir "$WORK"
	watch_kernel "${0##*/}"
	check "the driver of the machine's DMA channels is loaded" modprobe zynqmp_dma
	if [ "$1" = measured ]; then
		check "pdload up --engine dma" pdload up --engine dma --all
		check "it was measured, ordinary and huge pages" was_measured
	else
		check "pdload up --engine cpu" pdload up --engine cpu --all
		check "DMA is switched on besides" switch_on
	fi
	check "it has the eight channels" eight_channels
	check "from $THRESHOLD bytes on DMA copies" pdload engines --threshold $THRESHOLD
}
