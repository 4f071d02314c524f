# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A "host" in namespaces of its own: the demo and the tests source this.
#
# One process, the first of a new PID namespace, holds a network namespace (the
# "host": bridge, firewall rules), a mount namespace, and with them all that is
# started in there. Killing it ends everything but control groups, which carry
# the tag, and what was put into the temporary directory. It is killed when the
# shell that made it ends, whatever ends that.
#
#     namespaces_start TAG    make them; TAG names all that the machine can see
#     namespaces_run CMD...   run CMD in there
#     namespaces_cgroups      directories of the tag's control groups, deepest first
#     namespaces_stop         end and remove it all
#     namespaces_left         one line for each thing that is still there

NAMESPACES_PARENT=${NAMESPACES_PARENT:-/tmp} # not on an overlay, if there are to be containers
NAMESPACES_TAG=
NAMESPACES_DIR=
NAMESPACES_UNSHARE=
NAMESPACES_INIT=
NAMESPACES_IDS=
# Mount point of the control group v2 tree, also where v1 is mounted, too.
# shellcheck disable=SC2034  # of use to those who source this
CGROUPS=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)

namespaces_start() {
	NAMESPACES_TAG=$1
	NAMESPACES_DIR=$(mktemp -d "$NAMESPACES_PARENT/$NAMESPACES_TAG.XXXXXX")

	# The variables are for the inner shell. Its standard output must not be
	# the caller's: whoever reads that would wait for this process, too.
	# shellcheck disable=SC2016
	setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc --propagation slave \
		bash -c 'set -e
			for dir in /run/containers /run/netns /run/runc; do
				mkdir -p $dir
				mount -t tmpfs none $dir
			done
			ip link set lo up
			: >"$1/ready"
			while :; do sleep 1000; done' init "$NAMESPACES_DIR" \
		>"$NAMESPACES_DIR/log" 2>&1 </dev/null &
	NAMESPACES_UNSHARE=$!
	for _ in {1..200}; do
		[ ! -e "$NAMESPACES_DIR/ready" ] || break
		kill -0 "$NAMESPACES_UNSHARE" 2>/dev/null || break
		sleep 0.05
	done
	if [ ! -e "$NAMESPACES_DIR/ready" ]; then
		echo "cannot make the namespaces: $(tail -1 "$NAMESPACES_DIR/log")" >&2
		return 1
	fi
	NAMESPACES_INIT=$(pgrep -P "$NAMESPACES_UNSHARE")
	NAMESPACES_IDS=$(readlink "/proc/$NAMESPACES_INIT/ns/"{net,pid,mnt})
}

namespaces_run() {
	nsenter -t "$NAMESPACES_INIT" -m -n -p -- "$@"
}

namespaces_cgroups() {
	find /sys/fs/cgroup -depth -type d \
		\( -path "*/$NAMESPACES_TAG" -o -path "*/$NAMESPACES_TAG/*" \) 2>/dev/null
}

namespaces_stop() {
	[ -n "$NAMESPACES_DIR" ] || return 0
	if [ -n "$NAMESPACES_UNSHARE" ]; then
		# The kernel ends the whole PID namespace before its first process can
		# be waited for; killing the parent kills that one (--kill-child).
		kill -9 "${NAMESPACES_INIT:-$NAMESPACES_UNSHARE}" 2>/dev/null || true
		wait "$NAMESPACES_UNSHARE" 2>/dev/null || true
		NAMESPACES_UNSHARE=
	fi
	for _ in {1..100}; do
		namespaces_cgroups | xargs -r -d '\n' rmdir 2>/dev/null || true
		[ -n "$(namespaces_cgroups)" ] || break
		sleep 0.05
	done
	rm -rf "$NAMESPACES_DIR"
}

namespaces_left() {
	[ -n "$NAMESPACES_DIR" ] || return 0
	namespaces_cgroups | sed 's/^/control group /'
	[ ! -e "$NAMESPACES_DIR" ] || echo "directory $NAMESPACES_DIR"
	grep -F "$NAMESPACES_TAG" /proc/self/mountinfo | sed 's/^/mount /' || true
	ip -o link | grep -F "$NAMESPACES_TAG" | sed 's/^/network interface /' || true
	if [ -n "$NAMESPACES_IDS" ]; then
		find /proc/[0-9]*/ns -lname '*:*' -printf '%p %l\n' 2>/dev/null |
			grep -F "$NAMESPACES_IDS" | sed 's/^/process in a namespace: /' || true
	fi
}
