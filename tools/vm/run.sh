#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/run.sh 6.1|6.12 COMMAND [ARG...]   runs a command on one of Debian's kernels
# tools/vm/run.sh 6.1|6.12                    gives a prompt there
#
# The machine is emulated, so neither KVM nor root is needed. It has the host's
# root file system with a writable layer in memory on top, and begins in the
# current directory, as root, with the variables named below. What the command
# prints is printed here; standard input is empty. The exit status is the
# command's, or 1 if the kernel log shows trouble, or 124 after VM_SECONDS.
#
#     VM_SECONDS   time limit (default: 900)
#     VM_MEMORY    of the machine (default: 3G)
set -euo pipefail

PASSED=(BUILD PDLOAD SEED TEST_SECONDS FAIL_FAST LEFTOVERS)
TROUBLE='WARNING: |BUG: |Oops|general protection fault|Kernel panic|UBSAN|refcount_t|soft lockup'
TROUBLE+='|INFO: (task|rcu)|rcu_.*stall|unregister_netdevice: waiting'
LOG_LINES=60
here=$(realpath "$(dirname "$0")")
qemu=
relay=

die() {
	echo "tools/vm/run.sh: $*" >&2
	exit 1
}

cleanup() {
	local status=$?

	trap '' INT TERM
	[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
	[ -z "$relay" ] || kill "$relay" 2>/dev/null || true
	wait
	rm -rf "$work"
	exit "$status"
}

# What the machine is to run: this directory, these variables, this command.
write_command() {
	local name

	echo "cd $(printf %q "$PWD") || exit"
	for name in "${PASSED[@]}"; do
		[ -z "${!name+set}" ] || echo "export $name=$(printf %q "${!name}")"
	done
	if [ $# -eq 0 ]; then
		echo "stty $(stty size 2>/dev/null | sed 's/\(.*\) /rows \1 cols /'); exec bash -i"
	else
		echo "exec$(printf ' %q' "$@")"
	fi
}

# The kernel's lines on the console.
kernel_log() {
	tr -d '\r' <"$work/console"
}

# Runs the machine, at most VM_SECONDS; returns the exit status to end with.
run() {
	local status=0 limit=${VM_SECONDS:-900} verdict trouble

	: >"$work/console"
	mkfifo "$work/output"
	cat "$work/output" &
	relay=$!
	timeout -k 5 "$limit" qemu-system-x86_64 "${machine[@]}" -append "loglevel=7 $append" \
		-serial "file:$work/console" -chardev "file,id=output,path=$work/output" \
		-device virtserialport,chardev=output,name=output &
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
	echo "the end of the kernel log of Linux $series:"
	kernel_log | tail -n "$LOG_LINES" | sed 's/^/  | /'
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		echo "FAILED: the machine did not end within $limit s and was stopped (VM_SECONDS)"
		return 124
	elif [ -n "$trouble" ]; then
		echo "FAILED: the kernel log shows: $(head -n 1 <<<"$trouble")"
	elif [ "$verdict" = failed ]; then
		echo "FAILED: tools/vm/guest.sh could not make the machine ready"
	else
		echo "FAILED: the machine ended without a verdict (QEMU's exit status $status)"
	fi
	return 1
}

series=${1:-}
[[ $series =~ ^6\.(1|12)$ ]] || die "usage: tools/vm/run.sh 6.1|6.12 [COMMAND [ARG...]]"
shift
command -v qemu-system-x86_64 >/dev/null ||
	die "qemu-system-x86_64 is missing: run tools/deps.sh vm"
kernel=$("$here/kernel.sh" "$series")
# It has to be on the root that is shared, and stay there.
work=$(mktemp -d /var/tmp/pipedevice-vm.XXXXXX)
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$here/initramfs.sh" "$kernel" "$work/initramfs.gz"
echo "$kernel" >"$work/kernel"
: >"$work/verdict"
write_command "$@" >"$work/command"

machine=(
	# AVX is slower than SSE under emulation, and mitigations cost half of the speed.
	-accel "tcg,thread=multi,tb-size=1024" -cpu Nehalem -smp 2 -m "${VM_MEMORY:-3G}"
	-nodefaults -no-user-config -display none -no-reboot
	-kernel "$kernel/vmlinuz" -initrd "$work/initramfs.gz"
	-fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
	-device "virtio-9p-pci,fsdev=host,mount_tag=host" -device virtio-serial-pci
	-chardev "file,id=verdict,path=$work/verdict"
	-device "virtserialport,chardev=verdict,name=verdict"
)
append="console=ttyS0 panic=-1 mitigations=off audit=0 apparmor=0"
append+=" pipedevice.guest=$here/guest.sh pipedevice.work=$work"
if [ $# -gt 0 ]; then
	run
else
	: >"$work/shell"
	qemu-system-x86_64 "${machine[@]}" -append "loglevel=4 $append" \
		-serial mon:stdio
fi
