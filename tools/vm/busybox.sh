#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/busybox.sh ARCH   prints a directory with bin/busybox for that architecture
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

name_packages() {
	echo "busybox-static:$arch"
}

unpack() {
	dpkg -x "$1" "$dir.building"
}

[ $# -eq 1 ] || die "usage: tools/vm/busybox.sh amd64|arm64"
use_series 6.1 "$1"
in_cache "busybox-$arch" "" ""
echo "$dir"
