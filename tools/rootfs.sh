#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Prints the path of a root file system for containers, built from packages of
# Debian 12 when the cache has none. It is shared: containers must put an
# overlay on it (podman --rootfs DIR:O) and a changed one is built again.
set -euo pipefail

SUITE=bookworm
PACKAGES=(redis-server redis-tools iperf3 nginx-light curl)
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
CACHE=${PIPEDEVICE_CACHE:-${HOME:-/root}/.cache/pipedevice}

die() {
	echo "tools/rootfs.sh: $*" >&2
	exit 1
}

# Where this machine gets Debian from, one source a line. Other origins are
# left out; before the first apt-get update the origin is not known, and the
# keyring then keeps strangers out.
sources() {
	# shellcheck disable=SC2016  # apt-get fills these in
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
		'Created-By: Packages' |
		awk -v suite="$SUITE" -v keyring="$KEYRING" '
			($4 == "Debian" || $4 ~ /ORIGIN/ || $4 == "") && $3 == "main" &&
			($2 == suite || $2 == suite "-updates" || $2 == suite "-security") {
				print "deb [signed-by=" keyring "] " $1, $2, $3
			}' | sort -u
}

# Type, mode, size, time and name of all that is in a tree.
list_tree() {
	(cd "$1" && find . -printf '%y %m %s %T@ %p %l\n' | LC_ALL=C sort | sha256sum)
}

recipe=$(printf '%s\n' "$SUITE" "$(dpkg --print-architecture)" "${PACKAGES[@]}" | sha256sum)
dir=$CACHE/rootfs-${recipe:0:12}

is_whole() {
	[ -d "$dir" ] && [ "$(list_tree "$dir")" = "$(cat "$dir.list" 2>/dev/null)" ]
}

stop_bootstrap() {
	[ -n "$bootstrap" ] || return 0
	kill "$bootstrap" 2>/dev/null || true
	wait "$bootstrap" || true
}

mkdir -p "$CACHE" || die "cannot make the cache directory $CACHE: set PIPEDEVICE_CACHE to another"
exec 9>"$CACHE/rootfs.lock"
flock -w 600 9 || die "another tools/rootfs.sh has held $CACHE/rootfs.lock for 10 minutes"

if ! is_whole; then
	[ "$(id -u)" -eq 0 ] || die "must be root to build $dir"
	building=$dir.building
	bootstrap=
	trap 'stop_bootstrap; rm -rf "$building"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	rm -rf "$dir" "$dir.list" "$building"
	debian=$(sources)
	[ -n "$debian" ] ||
		die "this machine's apt sources name no Debian $SUITE: add one to /etc/apt/sources.list.d"
	echo "building the container root file system $dir (once, half a minute)" >&2
	# The user's proxy, and nothing else of this machine's apt settings.
	mapfile -t options < <(apt-config dump | sed -n '/^Acquire::https\?::Proxy/s/^/--aptopt=/p')
	# In the background, so that a signal is heard while it runs.
	mmdebstrap --variant=minbase --include="$(IFS=, && echo "${PACKAGES[*]}")" \
		--aptopt='APT::Sandbox::User "root"' "${options[@]}" \
		"$SUITE" "$building" - 9>&- <<<"$debian" >&2 &
	bootstrap=$!
	wait "$bootstrap" ||
		die "mmdebstrap could not build $building: see its output above"
	bootstrap=
	list_tree "$building" >"$dir.list"
	mv "$building" "$dir"
fi
echo "$dir"
