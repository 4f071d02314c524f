#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/debug.sh   prints the directory of a Linux 6.12 that looks for mistakes
#
# Debian's sources with the options of tools/vm/debug.config. Beside what every
# kernel of tools/vm/kernel.sh has, build/ is for make -C build M=... and has
# vmlinux with debug information. It is built once and stays in the cache until
# the options change.
set -euo pipefail
# shellcheck source=tools/vm/debian.bash
. "$(dirname "$0")/debian.bash"

STEPS_SHOWN=200
options=$(realpath "$(dirname "$0")/debug.config")

name_packages() {
	echo linux-source-6.12
}

# Shows that it goes on.
progress() {
	local line steps=0

	while IFS= read -r line; do
		((++steps % STEPS_SHOWN)) || echo "  $steps: $line" >&2
	done
}

# Runs make in the sources; the log shows what failed.
build() {
	nice make -C "$dir.building/build" CC=gcc-12 HOSTCC=gcc-12 -j "$(nproc)" "$@" 2>&1 |
		tee -a "$dir.log" | progress || {
		grep -B 2 -A 10 -m 5 -E 'error|Error' "$dir.log" >&2 || tail -n 30 "$dir.log" >&2
		die "make $* failed: see $dir.log"
	}
}

# Modules that are built later need this much of it.
keep_headers() {
	local tree=$dir.building/build

	mkdir "$tree.kept"
	(cd "$tree" && find Makefile .config Module.symvers System.map vmlinux include scripts \
		arch/x86 tools/objtool/objtool tools/bpf/resolve_btfids/resolve_btfids \
		! -name '*.[oS]' ! -path 'arch/*.c' ! -name '*.cmd' ! -name '*.a' ! -type d -print0 |
		xargs -0 cp -P --parents -t "$tree.kept")
	rm -rf "$tree"
	mv "$tree.kept" "$tree"
}

unpack() {
	local tree=$dir.building/build lost version

	: >"$dir.log"
	dpkg -x "$1" "$dir.apt/unpacked"
	mkdir "$tree"
	tar -C "$tree" --strip-components=1 -xf "$dir.apt"/unpacked/usr/src/linux-source-6.12.tar.*
	KCONFIG_ALLCONFIG=$options build allnoconfig
	lost=$(grep -E '^CONFIG_' "$options" | LC_ALL=C sort |
		LC_ALL=C comm -23 - <(LC_ALL=C sort "$tree/.config"))
	[ -z "$lost" ] || die "options of tools/vm/debug.config that this kernel does not take: ${lost//$'\n'/ }"
	echo "building Linux with them: 10 to 40 minutes, about 2400 steps" >&2
	build bzImage modules
	build INSTALL_MOD_PATH="$dir.building" INSTALL_MOD_STRIP=1 modules_install
	version=$(ls "$dir.building/lib/modules")
	rm -f "$dir.building/lib/modules/$version"/{build,source}
	cp "$tree/arch/x86/boot/bzImage" "$dir.building/vmlinuz"
	cp "$tree/.config" "$dir.building/config"
	keep_headers
	depmod -b "$dir.building" "$version"
}

[ $# -eq 0 ] || die "usage: tools/vm/debug.sh"
for command in gcc-12 pahole bc flex bison depmod; do
	command -v "$command" >/dev/null || die "$command is missing: run tools/deps.sh vm"
done
use_series debug amd64
in_cache kernel-debug "" "$(sha256sum <"$options")"
echo "$dir"
