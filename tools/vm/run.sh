#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/run.sh 5.10|6.1|6.12|debug COMMAND [ARG...]   runs a command on a kernel of tools/vm/kernel.sh
# tools/vm/run.sh 5.10|6.1|6.12|debug                    gives a prompt there
#
# The machine is emulated, so neither KVM nor root is needed. It has the host's
# root file system with a writable layer in memory on top, and begins in the
# current directory, as root, with the variables named below. What the command
# prints is printed here; standard input is empty. The exit status is the
# command's, or 1 if the kernel log shows trouble, or 124 after VM_SECONDS.
#
#     VM_SECONDS   time limit (default: 900; 3600 for debug, which is slow)
#     VM_MEMORY    of the machine (default: 3G)
#     VM_CPUS      of the machine (default: 2)
#     VM_THREADS   multi: a thread of the host for each CPU, so that they run at once, and the
#                  machine dies about once in a hundred boots ("Oops: int3"): a CPU may run
#                  a trap that another has just patched away (default: single)
#     VM_APPEND    more for the kernel's command line, such as kmemleak=off, which makes the
#                  debug kernel three times as fast and blind to leaks
#     VM_MODULES   files that modprobe finds there by name, besides the kernel's own
#                  (default: what tools/vm/module.sh last built of kmod/ and tests/kmod/, if anything)
set -euo pipefail

PASSED=(BUILD ENGINE PDLOAD SEED TEST_SECONDS FAIL_FAST LEFTOVERS
	CONNECTIONS CYCLES KILLS LIMIT PATIENCE SMALLER)
here=$(realpath "$(dirname "$0")")
# shellcheck source=tools/vm/machine.bash
. "$here/machine.bash"

# What is to stand in the machine's /lib/modules: the kernel's modules and "$@".
add_modules() {
	local version own tree

	version=$(ls "$kernel/lib/modules")
	own=$kernel/lib/modules/$version
	tree=$work/lib/modules/$version
	mkdir -p "$tree/updates"
	ln -s "$own/kernel" "$tree/kernel"
	cp "$own"/modules.{order,builtin,builtin.modinfo} "$tree/"
	[ $# -eq 0 ] || cp "$@" "$tree/updates/"
	depmod -b "$work" "$version"
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

series=${1:-}
[[ $series =~ ^(5\.10|6\.1|6\.12|debug)$ ]] || die "usage: tools/vm/run.sh 5.10|6.1|6.12|debug [COMMAND [ARG...]]"
shift
seconds=900
[ "$series" != debug ] || seconds=3600
command -v qemu-system-x86_64 >/dev/null ||
	die "qemu-system-x86_64 is missing: run tools/deps.sh vm"
kernel=$("$here/kernel.sh" "$series")
# This has to be on the root that is shared, and stay there.
open_work
"$here/initramfs.sh" "$kernel" "$work/initramfs.gz"
echo "$kernel" >"$work/kernel"
: "${VM_MODULES=$(ls "${BUILD:-$here/../../build}/kmod-$series"/{kmod/pipedevice,tests/kmod/pd_test_{dma,client}}.ko 2>/dev/null)}"
# shellcheck disable=SC2086  # paths without spaces
add_modules $VM_MODULES
write_command "$@" >"$work/command"

machine=(
	# The older machine routes interrupts by a program that the debug kernel takes minutes for.
	-machine q35
	# AVX is slower than SSE under emulation, and mitigations cost half of the speed.
	-accel "tcg,thread=${VM_THREADS:-single},tb-size=1024" -cpu Nehalem -smp "${VM_CPUS:-2}" -m "${VM_MEMORY:-3G}"
	-nodefaults -no-user-config -display none -no-reboot
	-kernel "$kernel/vmlinuz" -initrd "$work/initramfs.gz"
	-fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
	-device "virtio-9p-pci,fsdev=host,mount_tag=host" -device virtio-serial-pci
)
append="console=ttyS0 panic=-1 mitigations=off audit=0 apparmor=0"
append+=" vm.guest=$here/guest.sh vm.work=$work ${VM_APPEND:-}"
if [ $# -gt 0 ]; then
	mapfile -t ports < <(serial_ports)
	run_machine "${VM_SECONDS:-$seconds}" qemu-system-x86_64 "${machine[@]}" "${ports[@]}" \
		-append "loglevel=7 $append"
else
	: >"$work/shell"
	qemu-system-x86_64 "${machine[@]}" -append "loglevel=4 $append" \
		-chardev "file,id=verdict,path=$work/verdict" \
		-device virtserialport,chardev=verdict,name=verdict -serial mon:stdio
fi
