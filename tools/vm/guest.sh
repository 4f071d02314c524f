#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/guest.sh DIR: first process on the shared root in the virtual machine.
# Makes it a machine, runs DIR/command and says in the port "verdict" how it ended.
set -euo pipefail

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=${TERM:-dumb}
work=$1
version=$(uname -r)

# The device of a virtio port, by its name.
port() {
	local name

	for name in /sys/class/virtio-ports/*/name; do
		if [ "$(cat "$name")" = "$1" ]; then
			echo "/dev/$(basename "$(dirname "$name")")"
			return
		fi
	done
	echo "tools/vm/guest.sh: there is no port $1" >&2
	return 1
}

prepare() {
	mount -t tmpfs run /run
	mkdir -p /run/lock /run/netns /dev/shm /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	mount -t devpts devpts /dev/pts
	ln -sfn /proc/self/fd /dev/fd
	ln -sfn fd/0 /dev/stdin
	ln -sfn fd/1 /dev/stdout
	ln -sfn fd/2 /dev/stderr
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t bpf bpf /sys/fs/bpf
	mount -t debugfs debugfs /sys/kernel/debug
	# find_leaks looks when it is time to: each look takes a minute.
	echo scan=off 2>/dev/null >/sys/kernel/debug/kmemleak || true
	mount -t securityfs securityfs /sys/kernel/security
	# The kernel's directory and $work are on the host's root.
	mkdir -p "/lib/modules/$version" /boot
	mount --bind "$work/lib/modules/$version" "/lib/modules/$version"
	cp "$(cat "$work/kernel")/config" "/boot/config-$version"
	hostname pipedevice-vm
	ip link set lo up
}

# The debug kernel says in its log what memory nothing refers to any more. It takes two looks:
# what has changed since the one before, or is younger than 5 s, is not reported.
find_leaks() {
	local leaks=/sys/kernel/debug/kmemleak

	[ -e $leaks ] || return 0
	# It gives up where it gets no memory itself.
	if ! echo scan 2>/dev/null >$leaks; then
		echo "tools/vm/guest.sh: kmemleak is off: nobody looked for leaks" >/dev/kmsg
		return 0
	fi
	sleep 6
	echo scan >$leaks
	head -n 50 $leaks | while IFS= read -r line; do
		echo "$line" >/dev/kmsg
	done
}

# If this process ended, the kernel would panic: the machine is gone in a moment. The root is
# gone before it, so that no program can be started any more, sleep neither.
stop() {
	local nothing

	trap - EXIT
	exec {nothing}<> <(:)
	echo "$1" >"$(port verdict)" || true
	echo o >/proc/sysrq-trigger
	read -r -t 60 -u "$nothing" _ || true
}

trap 'stop failed' EXIT
prepare
status=0
if [ -e "$work/shell" ]; then
	echo "Linux $version: files are written to memory only; exit ends the machine, Ctrl-A x stops it"
	# A session of its own on the console, so that Ctrl-C gets to what runs there.
	setsid -w -c bash "$work/command" </dev/ttyS0 >/dev/ttyS0 2>&1 || status=$?
else
	bash "$work/command" </dev/null >"$(port output)" 2>&1 || status=$?
	find_leaks
fi
stop "exit $status"
