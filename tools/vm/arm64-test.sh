#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/arm64-test.sh TEST      runs a test on the machine of tools/vm/arm64.sh
# tools/vm/arm64-test.sh --build   only builds what is tested
#
# TEST is one of tests/vm-arm64 or tests/vm-long-arm64: there it finds pdload, the module, the real
# driver of the machine's DMA channels, and programs of tests/ in /usr/bin.
#
#     VM_SECONDS             time limit (default: 560)
#     LIMIT, PATTERN, TIMES  are for the test
set -euo pipefail

here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")
export BUILD
BUILD=$(realpath -m "${BUILD:-$top/build}")
arm64=$BUILD/arm64
root=$arm64/test-root
# shellcheck source=tools/vm/root.bash
. "$here/root.bash"

die() {
	echo "tools/vm/arm64-test.sh: $*" >&2
	exit 1
}

# modules DIR: builds those of DIR; prints them.
modules() {
	"$here/module.sh" 6.12 "$1" arm64 2>"$arm64/module.log" || {
		tail "$arm64/module.log" >&2
		die "the modules of $1 do not build"
	}
}

build() {
	local sysroot

	sysroot=$("$here/sysroot.sh" arm64)
	"$here/cross.sh" arm64 -s "$arm64"/{pdload,tests/sockets/sockets,tests/net/traffic}
	make_root "$root" "$sysroot" "$arm64"/{pdload,tests/sockets/sockets,tests/net/traffic} \
		"$sysroot"/bin/{bash,ip} "$sysroot/usr/bin/jq"
	aarch64-linux-gnu-strip "$root"/usr/bin/{pdload,sockets,traffic}
	mkdir "$root/tests"
	cp -r "$top"/tests/{tap.bash,vm-arm64,vm-long-arm64} "$root/tests/"
	module=$(modules "$top/kmod")
	driver=$(modules "$("$here/zdma.sh")" | grep zynqmp_dma)
}

[ $# -eq 1 ] || die "usage: tools/vm/arm64-test.sh TEST|--build"
[ "$1" = --build ] || [ -e "$top/$1" ] || die "there is no test $1"
command -v readelf >/dev/null || die "readelf is missing: run tools/deps.sh arm64"
mkdir -p "$arm64"
exec 8>"$arm64/test.lock"
flock -w 900 8 || die "another one has held $arm64/test.lock for 15 minutes"
build
[ "$1" != --build ] || exit 0
environment=()
for name in LIMIT PATTERN TIMES; do
	[ -z "${!name:-}" ] || environment+=("$name=${!name}")
done
# The interrupt controller is written to with devmem, which the kernel refuses else.
VM_SECONDS=${VM_SECONDS:-560} exec "$here/arm64.sh" --append iomem=relaxed --with veth \
	"$root" "$module" "$driver" -- env "${environment[@]}" bash "/$1"
