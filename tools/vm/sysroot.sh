#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/sysroot.sh ARCH   prints a directory with the libraries of another architecture
#
# They are what pdload and tests/sockets are linked with, headers included, what it takes to run
# them in the machine of tools/vm/arm64.sh, and iproute2, since busybox knows no veth, and jq.
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

PACKAGES=(
	libbpf-dev libelf-dev zlib1g-dev libcjson-dev libkmod-dev libyaml-dev libnuma-dev
	libcmocka-dev libcmocka0 liburing-dev liburing2
	libc6 libbpf1 libelf1 zlib1g libcjson1 libkmod2 libyaml-0-2 libnuma1
	libzstd1 liblzma5 libssl3
	iproute2 libmnl0 libbsd0 libmd0 libcap2
	bash libtinfo6 jq libjq1 libonig5
)

name_packages() {
	printf "%s:$arch\n" "${PACKAGES[@]}"
}

unpack() {
	local deb

	for deb; do
		dpkg -x "$deb" "$dir.building"
	done
	rm -rf "$dir.building"/usr/share "$dir.building"/etc "$dir.building"/var
	# The links between packages are absolute.
	find "$dir.building" -type l -lname '/*' -printf '%p\t%l\n' |
		while IFS=$'\t' read -r link target; do
			ln -sfn "$(realpath -m --relative-to "$(dirname "$link")" "$dir.building$target")" "$link"
		done
}

[ $# -eq 1 ] || die "usage: tools/vm/sysroot.sh arm64"
use_series 6.1 "$1"
recipe=$(printf '%s\n' "${PACKAGES[@]}" | sha256sum)
in_cache "sysroot-$arch-${recipe:0:12}" "" ""
echo "$dir"
