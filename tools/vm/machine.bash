# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# How a virtual machine runs one command and what became of it: sourced by what
# starts machines.
#
#     open_work                   makes the directory $work, for as long as the script runs
#     serial_ports                options for QEMU: the ports "output" and "verdict"
#     run_machine SECONDS QEMU... runs it; returns the exit status to end with
#
# The machine writes what the command prints to the port "output" and "exit N",
# its status, to the port "verdict"; the kernel log goes to the first serial
# line. Whatever it says, a kernel log that shows trouble is a failure.

TROUBLE='WARNING: |BUG: |Oops|general protection fault|Kernel panic|UBSAN|refcount_t|soft lockup'
TROUBLE+='|INFO: (task|rcu)|rcu_.*stall|unregister_netdevice: waiting|Unable to handle kernel'
# Of the debug kernel; most of what it reports begins with one of the above.
TROUBLE+='|INFO: trying to register|possible circular|suspicious RCU|sleeping function|KASAN: '
TROUBLE+='|ODEBUG: |DMA-API: .*: |kmemleak: [0-9]+ new'
LOG_LINES=60
PATH=$PATH:/usr/sbin:/sbin
work=
qemu=
relay=

die() {
	echo "tools/vm/${0##*/}: $*" >&2
	exit 1
}

cleanup() {
	local status=$? child

	trap '' INT TERM
	# These alone: a filter that this script writes to ends after it.
	for child in $qemu $relay; do
		kill "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	done
	rm -rf "$work"
	exit "$status"
}

open_work() {
	work=$(mktemp -d /var/tmp/pipedevice-vm.XXXXXX)
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	: >"$work/verdict"
	: >"$work/console"
}

# One a line.
serial_ports() {
	printf '%s\n' -chardev "file,id=verdict,path=$work/verdict" \
		-device virtserialport,chardev=verdict,name=verdict \
		-chardev "file,id=output,path=$work/output" \
		-device virtserialport,chardev=output,name=output -serial "file:$work/console"
}

# The kernel's lines on the console.
kernel_log() {
	tr -d '\r' <"$work/console"
}

run_machine() {
	local status=0 limit=$1 verdict trouble
	shift

	mkfifo "$work/output"
	cat "$work/output" &
	relay=$!
	timeout -k 5 "$limit" "$@" &
	qemu=$!
	wait "$qemu" || status=$?
	qemu=
	# It ends when the machine has closed the other end, if it was ever opened.
	[ -s "$work/console" ] || kill "$relay" 2>/dev/null || true
	wait "$relay" || true
	relay=

	verdict=$(cat "$work/verdict")
	trouble=$(kernel_log | grep -E "$TROUBLE" || true)
	if [[ $verdict == "exit "* ]] && [ -z "$trouble" ]; then
		return "${verdict#exit }"
	fi
	if [ -n "$trouble" ]; then
		echo "where the kernel log shows trouble first:"
		kernel_log | grep -m 1 -E -B 3 -A "$LOG_LINES" "$TROUBLE"
	else
		echo "the end of the kernel log:"
		kernel_log | tail -n "$LOG_LINES"
	fi | sed 's/^/  | /'
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		echo "FAILED: the machine did not end within $limit s and was stopped (VM_SECONDS)"
		return 124
	elif [ -n "$trouble" ]; then
		echo "FAILED: the kernel log shows: $(head -n 1 <<<"$trouble")"
	elif [ "$verdict" = failed ]; then
		echo "FAILED: the machine could not be made ready"
	else
		echo "FAILED: the machine ended without a verdict (QEMU's exit status $status)"
	fi
	return 1
}
