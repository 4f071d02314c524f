#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/initramfs.sh KERNEL_DIR FILE   makes what the kernel there starts with:
# busybox, tools/vm/init and the modules that it takes to mount the host's root.
set -euo pipefail

# Everything else is loaded from the host's root.
MODULES=(virtio_pci virtio_console 9pnet_virtio 9p overlay)
PATH=$PATH:/usr/sbin:/sbin
here=$(realpath "$(dirname "$0")")

die() {
	echo "tools/vm/initramfs.sh: $*" >&2
	exit 1
}

# The files of @MODULES and of what they need, in the order to load them; none for those that
# are part of the kernel.
module_files() {
	local module

	for module in "${MODULES[@]}"; do
		modprobe -d "$kernel" -S "$version" --show-depends "$module" ||
			die "Linux $version in $kernel has no module $module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

[ $# -eq 2 ] || die "usage: tools/vm/initramfs.sh KERNEL_DIR FILE"
kernel=$1
file=$2
for command in busybox cpio modprobe; do
	command -v "$command" >/dev/null || die "$command is missing: run tools/deps.sh vm"
done
if ldd "$(command -v busybox)" >/dev/null 2>&1; then
	die "busybox needs shared libraries: install busybox-static (tools/deps.sh vm)"
fi

version=$(ls "$kernel/lib/modules")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$root"/{bin,modules,proc,sys,dev,host,upper,root}
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init" "$root/init"
chmod 755 "$root/init"
files=$(module_files)
: >"$root/modules/order"
for path in $files; do
	cp "$path" "$root/modules/"
	basename "$path" >>"$root/modules/order"
done
(cd "$root" && find . | cpio -o -H newc --quiet | gzip) >"$file"
