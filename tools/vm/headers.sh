#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/headers.sh 6.1|6.12 [amd64|arm64]   prints a directory for make -C DIR M=...
# tools/vm/headers.sh debug
#
# It is for modules of exactly the kernel that tools/vm/kernel.sh gives.
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

# What the headers are made of; the programs among it have to run on this machine.
name_packages() {
	local package

	echo "linux-headers-$version:$arch=$package_version"
	apt-cache "${apt[@]}" depends "linux-headers-$version:$arch" |
		awk '$1 == "Depends:" && $2 ~ /^linux-(headers|kbuild)-/ { sub(/:.*/, "", $2); print $2 }' |
		while read -r package; do
			case $package in
			linux-kbuild-*) echo "$package:$native=$package_version" ;;
			*) echo "$package=$package_version" ;;
			esac
		done
}

unpack() {
	local deb

	for deb; do
		dpkg -x "$deb" "$dir.building"
	done
	sed -i "s,^include /usr/src/,include $dir/usr/src/," \
		"$dir.building/usr/src/linux-headers-$version/Makefile"
}

case $# in
1 | 2) ;;
*) die "usage: tools/vm/headers.sh 6.1|6.12 [amd64|arm64], or debug" ;;
esac
use_series "$1" "${2:-amd64}"
kernel=$("$(dirname "$0")/kernel.sh" "$@")
if [ "$series" = debug ]; then
	echo "$kernel/build"
	exit
fi
version=$(ls "$kernel/lib/modules")
image=$(ls "$kernel.debs")
package_version=$(cut -d _ -f 2 <<<"$image")
in_cache "headers-$series${2:+-$arch}" "linux-headers-${version}_${package_version}_$arch.deb" ""
echo "$dir/usr/src/linux-headers-$version"
