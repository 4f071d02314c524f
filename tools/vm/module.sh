#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/module.sh 6.1|6.12|debug [DIR [ARCH]]   builds the modules of DIR for that kernel
#
# Without DIR these are the ones of kmod/; ARCH is amd64 or, for 6.12, arm64.
# Prints the path of each .ko. What is built goes to kmod-KERNEL or kmod-KERNEL-ARCH
# in $BUILD (default: build), where the sources and include/ are links that stand as
# in the tree, so that nothing is shared between kernels. Modules have BTF where the
# kernel's headers have vmlinux: not on 6.1. What sparse finds in kmod/ is an error.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")

die() {
	echo "tools/vm/module.sh: $*" >&2
	exit 1
}

# Links for all sources of @dir; those of files that have gone disappear.
link_sources() {
	local file

	mkdir -p "$work"
	find "$work" -xtype l -delete
	(cd "$dir" && find . \( -name '*.[chS]' -o -name Kbuild -o -name Makefile \) \
		! -name '*.mod.c' -printf '%P\n') |
		while read -r file; do
			mkdir -p "$(dirname "$work/$file")"
			[ "$(readlink "$work/$file")" = "$dir/$file" ] || ln -sfn "$dir/$file" "$work/$file"
		done
}

case $#:${1:-}:${3:-} in
[123]:*:amd64 | [12]:*: | 3:6.12:arm64) ;;
*) die "usage: tools/vm/module.sh 6.1|6.12|debug [DIR [amd64|arm64]]; arm64 is for 6.12" ;;
esac
series=$1
arch=${3:-amd64}
kernel=$series
kind=()
compiler=gcc-12
if [ "$arch" = arm64 ]; then
	kernel=$series-$arch
	kind=("$arch")
	compiler=aarch64-linux-gnu-gcc-12
fi
dir=$(realpath "${2:-$top/kmod}")
[ -e "$dir/Kbuild" ] || die "there is no module in $dir: it has no Kbuild"
for command in $compiler pahole sparse; do
	command -v "$command" >/dev/null ||
		die "$command is missing: run tools/deps.sh ${kind[0]:-vm}"
done
headers=$("$here/headers.sh" "$series" "${kind[@]}")

tree=$(realpath -m "${BUILD:-$top/build}/kmod-$kernel")
case $dir in
"$top"/*) work=$tree/${dir#"$top/"} ;;
*) work=$tree/$(basename "$dir") ;;
esac
mkdir -p "$tree"
exec 9>"$tree/lock"
flock -w 900 9 || die "another tools/vm/module.sh has held $tree/lock for 15 minutes"
sparse=()
[ "$dir" != "$top/kmod" ] || sparse=(C=1 CF=-Wsparse-error)
ln -sfn "$top/include" "$tree/include"
link_sources
make --no-print-directory -C "$headers" M="$work" CC=$compiler W=1 "${sparse[@]}" -j "$(nproc)" modules >&2
# Those that Kbuild names now: others may be left from before.
sed "s,^\(/.*\)\.o$,\1.ko,; s,^\([^/].*\)\.o$,$work/\1.ko," "$work/modules.order"
