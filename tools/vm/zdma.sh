#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/zdma.sh   prints a directory with the sources of zynqmp_dma and dmatest
#
# Debian's Linux 6.12 for arm64 is built without that driver of the DMA channels
# that the machine of tools/vm/arm64.sh has. For tools/vm/module.sh 6.12 DIR arm64.
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

name_packages() {
	echo "linux-source-6.12=$package_version"
}

unpack() {
	local drivers=linux-source-6.12/drivers/dma

	dpkg -x "$1" "$dir.apt/unpacked"
	tar -C "$dir.building" --strip-components=3 -xf "$dir.apt"/unpacked/usr/src/linux-source-6.12.tar.* \
		$drivers/{dmaengine.h,dmatest.c,xilinx/zynqmp_dma.c}
	mv "$dir.building/xilinx/zynqmp_dma.c" "$dir.building/"
	rmdir "$dir.building/xilinx"
	sed -i 's,"\.\./dmaengine\.h","dmaengine.h",' "$dir.building/zynqmp_dma.c"
	echo "obj-m := zynqmp_dma.o dmatest.o" >"$dir.building/Kbuild"
}

[ $# -eq 0 ] || die "usage: tools/vm/zdma.sh"
use_series 6.12 arm64
kernel=$("$(dirname "$0")/kernel.sh" 6.12 arm64)
package_version=$(cut -d _ -f 2 <<<"$(ls "$kernel.debs")")
in_cache zdma "linux-source-6.12_${package_version}_all.deb" ""
echo "$dir"
