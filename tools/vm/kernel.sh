#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/kernel.sh 6.1|6.12   prints the directory of one of Debian's kernels
#
# It has vmlinuz, config and lib/modules. The package comes from the mirror that
# this machine's apt uses and stays in the cache, so that no network is needed
# from then on: remove it there to get a newer kernel. Nothing is installed, and
# apt's own lists are left alone.
set -euo pipefail

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
CACHE=${PIPEDEVICE_CACHE:-${HOME:-/root}/.cache/pipedevice}
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "tools/vm/kernel.sh: $*" >&2
	exit 1
}

case ${1:-} in
6.1) suites=(bookworm bookworm-security) ;;
6.12) suites=(bookworm-backports) ;;
*) die "usage: tools/vm/kernel.sh 6.1|6.12" ;;
esac
series=$1
dir=$CACHE/kernel-$series
apt=(-q -o "Dir::Etc::SourceList=$dir.apt/sources.list" -o Dir::Etc::SourceParts=-
	-o "Dir::State::Lists=$dir.apt/lists" -o "Dir::Cache=$dir.apt/cache"
	-o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=)

# One source a line. Other origins are left out; before the first apt-get update
# the origin is not known, and the keyring then keeps strangers out.
sources() {
	# shellcheck disable=SC2016  # apt-get fills these in
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' \
		'Created-By: Packages' |
		awk -v keyring="$KEYRING" -v suites=" ${suites[*]} " '
			function add(uri, suite) {
				if (index(suites, " " suite " "))
					print "deb [signed-by=" keyring "] " uri, suite, "main"
			}
			($4 == "Debian" || $4 ~ /ORIGIN/ || $4 == "") && $3 == "main" {
				add($1, $2)
				if ($2 == "bookworm")
					add($1, "bookworm-backports")
			}' | sort -u
}

# Downloads the package that linux-image-amd64 stands for; apt verifies it.
fetch() {
	local package

	rm -rf "$dir.apt"
	mkdir -p "$dir.apt/lists/partial" "$dir.apt/cache/archives/partial"
	sources >"$dir.apt/sources.list"
	[ -s "$dir.apt/sources.list" ] ||
		die "this machine's apt sources name no Debian bookworm: add one to /etc/apt/sources.list.d"
	apt-get "${apt[@]}" update >&2 || die "apt-get could not read the lists of ${suites[*]}"
	package=$(apt-cache "${apt[@]}" depends --important linux-image-amd64 |
		awk '$1 == "Depends:" { print $2; exit }')
	[[ $package == linux-image-"$series".* ]] ||
		die "${suites[*]} has '$package' where Linux $series was expected"
	(cd "$dir.apt" && apt-get "${apt[@]}" download "$package") >&2 ||
		die "apt-get could not download $package"
}

# Type, mode, size, time and name of all that is in there.
list_tree() {
	(cd "$1" && find . -printf '%y %m %s %T@ %p %l\n' | LC_ALL=C sort | sha256sum)
}

# The package by its hash, as apt verified it; what was unpacked by its list.
is_whole() {
	[ -d "$dir" ] && (cd "$CACHE" && sha256sum --status -c "$dir.sha256") 2>/dev/null &&
		[ "$(list_tree "$dir")" = "$(cat "$dir.list" 2>/dev/null)" ]
}

unpack() {
	local package=$1 version

	mkdir "$dir.building" "$dir.apt/unpacked"
	dpkg -x "$package" "$dir.apt/unpacked"
	mv "$dir.apt/unpacked/lib" "$dir.building/lib"
	version=$(ls "$dir.building/lib/modules")
	mv "$dir.apt/unpacked/boot/vmlinuz-$version" "$dir.building/vmlinuz"
	mv "$dir.apt/unpacked/boot/config-$version" "$dir.building/config"
	depmod -b "$dir.building" "$version"
}

command -v depmod >/dev/null || die "depmod is missing: run tools/deps.sh vm"
mkdir -p "$CACHE" || die "cannot make the cache directory $CACHE: set PIPEDEVICE_CACHE to another"
exec 9>"$dir.lock"
flock -w 900 9 || die "another tools/vm/kernel.sh has held $dir.lock for 15 minutes"

if ! is_whole; then
	trap 'rm -rf "$dir.apt" "$dir.building"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	rm -rf "$dir" "$dir.list" "$dir.building"
	if ! (cd "$CACHE" && sha256sum --status -c "$dir.sha256") 2>/dev/null; then
		rm -f "$CACHE/linux-image-$series".*.deb "$dir.sha256"
		echo "fetching Debian's Linux $series (once, about 100 MB)" >&2
		fetch
		mv "$dir.apt"/*.deb "$CACHE/"
		(cd "$CACHE" && sha256sum "linux-image-$series".*.deb) >"$dir.sha256"
	fi
	echo "unpacking Linux $series into $dir" >&2
	mkdir -p "$dir.apt"
	unpack "$CACHE/$(awk '{ print $2 }' "$dir.sha256")"
	list_tree "$dir.building" >"$dir.list"
	mv "$dir.building" "$dir"
fi
echo "$dir"
