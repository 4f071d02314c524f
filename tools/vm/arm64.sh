#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/arm64.sh [OPTION...] [CONTENT...] -- COMMAND [ARG...]
#
# Runs a command on an emulated arm64 machine with eight DMA channels of the
# Xilinx ZDMA kind, under Debian's Linux 6.12. Its root is in memory: busybox and
# CONTENT, where a directory's files go to / as they stand in there, a .ko goes
# where modprobe finds it and any other file goes to /. Programs have to be
# linked statically. Prints what the command prints; the exit status is the
# command's, or 1 if the kernel log shows trouble, or 124 after VM_SECONDS.
#
#     --count         one CPU whose clock is the count of executed instructions:
#                     the same image does the same again to the last instruction
#     --with MODULE   a module of the kernel to have there and to load first, with
#                     what it needs; may be given several times
#     --plugin FILE   a plugin for QEMU, with its arguments after commas
#     --append WORDS  for the kernel's command line
#
#     VM_SECONDS      time limit (default: 900)
#     VM_MEMORY       of the machine (default: 1G)
#     VM_APPEND       more for the kernel's command line
set -euo pipefail

here=$(realpath "$(dirname "$0")")
# shellcheck source=tools/vm/machine.bash
. "$here/machine.bash"

MACHINE=xlnx-versal-virt
PORT_MODULES=(virtio_mmio virtio_console)

# Without entropy from the start every system call would stir for more.
seed() {
	local byte

	for byte in {1..64}; do
		printf '%x ' $((byte * 37 % 256))
	done
}

# The machine's own description and what Linux has to be told beyond it: that DMA
# sees the caches, that there is a counter, and how to stop.
device_tree() {
	local node

	qemu-system-aarch64 -M "$MACHINE,dumpdtb=$1.qemu" -m "$memory" -display none 2>/dev/null
	# fdtget does not get over the gaps that QEMU leaves.
	dtc -q -I dtb -O dtb -o "$1" "$1.qemu"
	fdtget -l "$1" / | grep '^dma@' | while read -r node; do
		fdtput "$1" "/$node" dma-coherent
	done
	for node in $(fdtget -l "$1" /cpus); do
		fdtput -t s "$1" "/cpus/$node" enable-method psci
	done
	# shellcheck disable=SC2046  # 64 words
	fdtput -t bx "$1" /chosen rng-seed $(seed)
	fdtput -c "$1" /pmu /psci
	fdtput -t s "$1" /pmu compatible arm,cortex-a72-pmu arm,armv8-pmuv3
	fdtput -t s "$1" /psci compatible arm,psci-1.0 arm,psci-0.2
	fdtput -t s "$1" /psci method smc
}

# Those of the kernel's modules that "$@" name, and what they need.
kernel_modules() {
	local module

	for module; do
		modprobe -d "$kernel" -S "$version" --show-depends "$module" ||
			die "Linux $version for arm64 has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

image() {
	local root=$work/root modules path

	modules=$root/lib/modules/$version
	mkdir -p "$root"/{bin,sbin,proc,sys,dev,tmp,run,root} "$modules/updates"
	"$busybox/bin/busybox" --help >/dev/null 2>&1 || true
	cp "$busybox/bin/busybox" "$root/bin/"
	cp "$here/arm64-init" "$root/init"
	chmod 755 "$root/init"
	cp "$kernel/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$modules/"
	kernel_modules "${PORT_MODULES[@]}" "${with[@]}" >"$work/modules"
	while read -r path; do
		mkdir -p "$root/$(dirname "${path#"$kernel"/}")"
		cp "$path" "$root/${path#"$kernel"/}"
	done <"$work/modules"
	for path in "${content[@]}"; do
		if [ -d "$path" ]; then
			cp -r "$path/." "$root/"
		elif [[ $path == *.ko ]]; then
			cp "$path" "$modules/updates/"
		else
			cp "$path" "$root/"
		fi
	done
	depmod -b "$root" "$version"
	echo "${PORT_MODULES[*]} ${with[*]}" >"$root/modules"
	echo "exec$(printf ' %q' "$@")" >"$root/command"
	# The same content is the same image, whenever it is made.
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . -print0 | LC_ALL=C sort -z |
		cpio -o -0 -H newc --quiet --reproducible -R 0:0) | gzip -n >"$work/initramfs.gz"
}

with=()
content=()
count=()
plugin=()
append="console=ttyAMA0 loglevel=7 panic=-1 ${VM_APPEND:-}"
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	case $1 in
	--count)
		count=(-icount "shift=0,sleep=off" -seed 1 -rtc "base=2026-01-01,clock=vm")
		append+=" maxcpus=1 nokaslr"
		;;
	--with)
		[ $# -ge 2 ] || die "--with takes the name of a module"
		with+=("$2")
		shift
		;;
	--plugin)
		[ $# -ge 2 ] || die "--plugin takes a file"
		plugin+=(-plugin "$2")
		shift
		;;
	--append)
		[ $# -ge 2 ] || die "--append takes words"
		append+=" $2"
		shift
		;;
	-*) die "there is no option $1: --count, --with MODULE, --plugin FILE or --append WORDS" ;;
	*)
		[ -e "$1" ] || die "there is no $1 to put into the machine"
		content+=("$1")
		;;
	esac
	shift
done
[ $# -ge 2 ] || die "usage: tools/vm/arm64.sh [--count] [--with MODULE]... [--plugin FILE] [--append WORDS] [CONTENT...] -- COMMAND [ARG...]"
shift
for command in qemu-system-aarch64 dtc fdtput cpio modprobe; do
	command -v $command >/dev/null || die "$command is missing: run tools/deps.sh arm64"
done
memory=${VM_MEMORY:-1G}
kernel=$("$here/kernel.sh" 6.12 arm64)
busybox=$("$here/busybox.sh" arm64)
version=$(ls "$kernel/lib/modules")
open_work
device_tree "$work/machine.dtb"
image "$@"
mapfile -t ports < <(serial_ports)
run_machine "${VM_SECONDS:-900}" qemu-system-aarch64 -M $MACHINE -m "$memory" -display none -no-reboot \
	"${count[@]}" "${plugin[@]}" -nodefaults -device virtio-serial-device "${ports[@]}" \
	-kernel "$kernel/vmlinuz" -initrd "$work/initramfs.gz" -dtb "$work/machine.dtb" -append "$append" \
	2> >(grep -v 'warning: nic .* has no peer' >&2)
