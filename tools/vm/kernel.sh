#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/kernel.sh 5.10|6.1|6.12 [amd64|arm64]   prints the directory of one of Debian's kernels
# tools/vm/kernel.sh debug                         or of tools/vm/debug.sh's
#
# It has vmlinuz, config and lib/modules, and stays in the cache.
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

# What linux-image-ARCH stands for.
name_packages() {
	local package

	package=$(apt-cache "${apt[@]}" depends --important "linux-image-$arch" |
		awk '$1 == "Depends:" { print $2; exit }')
	[[ $package == linux-image-"$series".* ]] ||
		die "${suites[*]} has '$package' where Linux $series was expected"
	echo "$package"
}

# Modules are kept as they are loaded: depmod and the machine are faster.
unpack() {
	local version

	dpkg -x "$1" "$dir.apt/unpacked"
	mv "$dir.apt/unpacked/lib" "$dir.building/lib"
	version=$(ls "$dir.building/lib/modules")
	mv "$dir.apt/unpacked/boot/vmlinuz-$version" "$dir.building/vmlinuz"
	mv "$dir.apt/unpacked/boot/config-$version" "$dir.building/config"
	find "$dir.building/lib" -name '*.ko.xz' -print0 | xargs -0 -r -n 100 -P 2 xz -d
	depmod -b "$dir.building" "$version"
}

case $#:${1:-} in
1:debug) exec "$(dirname "$0")/debug.sh" ;;
1:* | 2:*) ;;
*) die "usage: tools/vm/kernel.sh 5.10|6.1|6.12 [amd64|arm64], or debug" ;;
esac
for command in depmod xz; do
	command -v "$command" >/dev/null || die "$command is missing: run tools/deps.sh vm"
done
use_series "$1" "${2:-amd64}"
in_cache "kernel-$series${2:+-$arch}" "" ""
echo "$dir"
