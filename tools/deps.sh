#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what building, testing, the demo and the bench need: packages of
# Debian 12, only those that are missing. Services that come with them are
# neither started nor enabled.
set -euo pipefail

PACKAGES=(
	# building
	make perl gcc libc6-dev clang llvm libclang-rt-14-dev bpftool pkg-config
	libbpf-dev libelf-dev zlib1g-dev libnuma-dev libyaml-dev libcjson-dev libkmod-dev libcmocka-dev liburing-dev
	# checking the source
	shellcheck cppcheck clang-format clang-tidy man-db
	# network namespaces and containers
	iproute2 ethtool iptables nftables procps util-linux numactl
	podman runc conmon netavark mmdebstrap
	# the programs that are accelerated, and what measures them
	redis-server redis-tools nginx-light haproxy wrk curl postgresql postgresql-contrib memcached
	golang-go iperf3 openssl python3 jq strace gnuplot-nox
)
# for `tools/deps.sh vm`, as well: emulated machines
VM_PACKAGES=(
	qemu-system-x86 busybox-static cpio kmod xz-utils
	# modules and a kernel for them
	gcc-12 dwarves bc flex bison sparse
)
# for `tools/deps.sh arm64`, as well: the emulated machine of tools/vm/arm64.sh
ARM64_PACKAGES=(
	qemu-system-arm device-tree-compiler gcc-aarch64-linux-gnu gcc-12-aarch64-linux-gnu
	libc6-dev-arm64-cross
)
# for `tools/deps.sh paper`, as well: tools/bench/paper
PAPER_PACKAGES=(openmpi-bin libopenmpi-dev)
SERVICES=(redis-server nginx haproxy postgresql memcached)

POLICY=/usr/sbin/policy-rc.d
log=
made_policy=

die() {
	echo "tools/deps.sh: $*" >&2
	exit 1
}

cleanup() {
	[ -z "$made_policy" ] || rm -f "$POLICY"
	[ -z "$log" ] || rm -f "$log"
}

# Those of "$@" that are not installed, one a line.
not_installed() {
	comm -23 <(printf '%s\n' "$@" | sort) <(
		dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null |
			sed -n 's/^.i  *//p' | sort
	)
}

apt() {
	DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
		-o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" >>"$log" 2>&1
}

case ${1:-} in
vm) PACKAGES+=("${VM_PACKAGES[@]}") ;;
arm64) PACKAGES+=("${VM_PACKAGES[@]}" "${ARM64_PACKAGES[@]}") ;;
paper) PACKAGES+=("${VM_PACKAGES[@]}" "${ARM64_PACKAGES[@]}" "${PAPER_PACKAGES[@]}") ;;
esac
command -v dpkg-query >/dev/null ||
	die "this is not Debian: install the equivalents of: ${PACKAGES[*]}"

mapfile -t missing < <(not_installed "${PACKAGES[@]}")
if [ "${#missing[@]}" -eq 0 ]; then
	echo "dependencies: all ${#PACKAGES[@]} packages are installed"
	exit 0
fi

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$ID $VERSION_ID")
[ "$release" = "debian 12" ] ||
	die "the package names are Debian 12's and this is $release: install the equivalents of: ${missing[*]}"
[ "$(id -u)" -eq 0 ] || die "must be root to install: ${missing[*]}"

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# One at a time: apt-get update does not wait for another one's lock, and
# policy-rc.d must not go while another run still installs.
exec 9>/run/lock/pipedevice-deps.lock
flock -w 900 9 || die "another tools/deps.sh has been running for 15 minutes; see what it waits for"
mapfile -t missing < <(not_installed "${PACKAGES[@]}")
if [ "${#missing[@]}" -eq 0 ]; then
	echo "dependencies: all ${#PACKAGES[@]} packages are installed"
	exit 0
fi
mapfile -t services < <(not_installed "${SERVICES[@]}")

echo "dependencies: installing ${missing[*]}"
log=$(mktemp)
if [ ! -e "$POLICY" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	made_policy=yes
	chmod 755 "$POLICY"
fi
# Without package lists, or with outdated ones, the first attempt fails.
apt install --no-install-recommends "${missing[@]}" || {
	apt update && apt install --no-install-recommends "${missing[@]}"
} || {
	cat "$log" >&2
	die "apt-get could not install ${missing[*]}: see its output above"
}
mapfile -t missing < <(not_installed "${PACKAGES[@]}")
[ "${#missing[@]}" -eq 0 ] || die "apt-get reported success, yet these are not installed: ${missing[*]}"

if [ -d /run/systemd/system ]; then
	for service in "${services[@]}"; do
		systemctl disable -q "$service" >>"$log" 2>&1 || true
	done
fi
echo "dependencies: installed"
