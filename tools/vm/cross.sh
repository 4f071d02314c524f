#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/cross.sh arm64 TARGET...   makes targets of the Makefile for another architecture
#
# What is built goes to ARCH in $BUILD (default: build): tools/vm/cross.sh arm64
# build/arm64/pdload. Libraries are those of tools/vm/sysroot.sh, the compiler and the C
# library's headers are Debian's. BPF programs are the same on every architecture.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
COMPILER=aarch64-linux-gnu-gcc-12

die() {
	echo "tools/vm/cross.sh: $*" >&2
	exit 1
}

[[ $# -ge 2 && $1 == arm64 ]] || die "usage: tools/vm/cross.sh arm64 TARGET..."
command -v $COMPILER >/dev/null || die "$COMPILER is missing: run tools/deps.sh arm64"
arch=$1
shift
sysroot=$("$here/sysroot.sh" "$arch")
libraries=$sysroot/usr/lib/aarch64-linux-gnu
flags="-O2 -g -isystem $sysroot/usr/include -isystem $sysroot/usr/include/aarch64-linux-gnu"
flags+=" -L$libraries -Wl,-rpath-link,$libraries:$sysroot/lib/aarch64-linux-gnu"
export PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$libraries/pkgconfig
make --no-print-directory -C "$here/../.." BUILD="${BUILD:-build}/$arch" CC=$COMPILER \
	TRIPLET="$(gcc -print-multiarch)" CFLAGS="$flags" "$@"
