# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What programs of another architecture need to run on the machine of
# tools/vm/arm64.sh: sourced by what puts them there.
#
#     make_root ROOT SYSROOT PROGRAM...
#                      makes the directory ROOT anew: the programs in usr/bin, with the
#                      libraries of SYSROOT that they and these need

# The libraries that "$@" need.
libraries() {
	local file path

	for file; do
		readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
	done | sort -u | while read -r file; do
		path=$(find -L "$sysroot/lib" "$sysroot/usr/lib" -maxdepth 2 -name "$file" -print -quit)
		[ -n "$path" ] || die "$file is not in $sysroot"
		echo "$path"
	done
}

make_root() {
	local root=$1 sysroot=$2 found=() more
	shift 2

	rm -rf "$root"
	mkdir -p "$root/usr/bin" "$root/lib/aarch64-linux-gnu"
	cp -L "$@" "$root/usr/bin/"
	mapfile -t more < <(libraries "$@")
	while [ "${#more[@]}" -gt "${#found[@]}" ]; do
		found=("${more[@]}")
		mapfile -t more < <({
			printf '%s\n' "${found[@]}"
			libraries "${found[@]}"
		} | sort -u)
	done
	cp -L "${found[@]}" "$root/lib/aarch64-linux-gnu/"
	mv "$root/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1" "$root/lib/"
}
