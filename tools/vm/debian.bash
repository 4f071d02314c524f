# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Debian's packages in a cache of our own. They come from the mirror that this
# machine's apt uses and stay, so that no network is needed from then on: remove
# them there to get newer ones. Nothing is installed, and apt's own lists are
# left alone.
#
#     use_series SERIES ARCH      which of Debian's kernels it is about
#     in_cache NAME PACKAGE KEY   makes the entry NAME unless it is there, and sets dir to it
#
# in_cache calls two functions of the script that sources this: name_packages
# prints what to download, as apt-get names it, and unpack DEB... makes the entry
# in $dir.building. PACKAGE, if not empty, is the file name of one that must be
# among them; an entry that was made with another KEY is made anew.

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
CACHE=${PIPEDEVICE_CACHE:-${HOME:-/root}/.cache/pipedevice}
PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "tools/vm/${0##*/}: $*" >&2
	exit 1
}

use_series() {
	series=$1
	arch=$2
	native=$(dpkg --print-architecture) || die "dpkg is missing: this takes a Debian"
	case $series in
	5.10) suites=(bullseye) ;;
	6.1) suites=(bookworm bookworm-security) ;;
	6.12 | debug) suites=(bookworm-backports) ;;
	*) die "there is no Linux $series here: 5.10, 6.1, 6.12 or debug" ;;
	esac
	[[ $arch == amd64 || $arch == arm64 ]] || die "there is no architecture $arch here: amd64 or arm64"
}

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
				if ($2 == "bookworm") {
					add($1, "bookworm-backports")
					add($1, "bullseye")
				}
			}' | sort -u
}

# Downloads what name_packages names; apt verifies it.
fetch() {
	local packages

	apt=(-q -o "Dir::Etc::SourceList=$dir.apt/sources.list" -o Dir::Etc::SourceParts=-
		-o "Dir::State::Lists=$dir.apt/lists" -o "Dir::Cache=$dir.apt/cache" -o APT::Sandbox::User=
		-o "APT::Architecture=$arch" -o "APT::Architectures::=$arch")
	[ "$arch" = "$native" ] || apt+=(-o "APT::Architectures::=$native")
	rm -rf "$dir.apt"
	mkdir -p "$dir.apt/lists/partial" "$dir.apt/cache/archives/partial" "$dir.apt/debs"
	sources >"$dir.apt/sources.list"
	[ -s "$dir.apt/sources.list" ] ||
		die "this machine's apt sources name no Debian bookworm: add one to /etc/apt/sources.list.d"
	apt-get "${apt[@]}" update >&2 || die "apt-get could not read the lists of ${suites[*]}"
	packages=$(name_packages)
	# shellcheck disable=SC2086  # names have no spaces
	(cd "$dir.apt/debs" && apt-get "${apt[@]}" download $packages) >&2 ||
		die "apt-get could not download" $packages "(has the mirror newer ones? remove $CACHE/kernel-*)"
}

# Type, mode, size, time and name of all that is in there.
list_tree() {
	(cd "$1" && find . -printf '%y %m %s %T@ %p %l\n' | LC_ALL=C sort | sha256sum)
}

# The packages by their hashes, as apt verified them.
has_packages() {
	(cd "$dir.debs" && sha256sum --status -c "$dir.sha256") 2>/dev/null &&
		grep -qF " $1" "$dir.sha256"
}

# What was made of them by its list; $1 is the key.
is_made() {
	[ -d "$dir" ] && [ "$(list_tree "$dir") $1" = "$(cat "$dir.list" 2>/dev/null)" ]
}

# From here on no other script changes the entry $dir.
lock_entry() {
	mkdir -p "$CACHE" || die "cannot make the cache directory $CACHE: set PIPEDEVICE_CACHE to another"
	exec 9>"$dir.lock"
	flock -w 3600 9 || die "another one has held $dir.lock for an hour"
	trap 'rm -rf "$dir.apt" "$dir.building"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

need_packages() {
	has_packages "$1" && return
	rm -rf "$dir.debs" "$dir.sha256"
	echo "fetching $(basename "$dir") from Debian (once)" >&2
	fetch
	mv "$dir.apt/debs" "$dir.debs"
	(cd "$dir.debs" && sha256sum -- *.deb) >"$dir.sha256"
	has_packages "$1" || die "Debian has $(cut -c 67- "$dir.sha256" | xargs) and not $1"
	rm -f "$dir.list"
}

in_cache() {
	dir=$CACHE/$1
	lock_entry
	need_packages "$2"
	is_made "$3" && return
	echo "making $dir" >&2
	rm -rf "$dir" "$dir.list" "$dir.building"
	mkdir -p "$dir.building" "$dir.apt"
	unpack "$dir.debs"/*.deb
	echo "$(list_tree "$dir.building") $3" >"$dir.list"
	mv "$dir.building" "$dir"
}
