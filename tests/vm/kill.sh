#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Processes are killed at random points, on either side: the other side and the
# other connections see nothing but the end. Runs in a virtual machine.
set -euo pipefail
# shellcheck source=tests/vm/lib.bash
. "$(dirname "$0")/lib.bash"

KILLS=${KILLS:-100}
AT_ONCE=12

# killed KILLS: besides connections that go on.
killed() {
	local status=0

	serve server server in 10.1.0.2:0 --time-limit 400 || return 1
	connect client client in "10.1.0.2:${PORT[server]}" --mix forever,rr --rounds 0 \
		--connections 4 --size 1-64K --write 1-64K --read 1-64K --time-limit 400
	spawn kill - in "$FAULTS/kill" "$1" $AT_ONCE "$SEED" /run/netns/client /run/netns/server \
		10.1.0.2
	ended kill || status=1
	tell client TERM
	ended client || status=1
	tell server TERM
	ended server || status=1
	[ $status -eq 0 ] || return 1
	echo "# killed $(done_of kill killed) processes of $(done_of kill pairs) pairs;" \
		"$(done_of kill survivors) survived, right to the end" >&3
}

# They were carried by the module.
redirected() {
	is "$(counter Attached)" -ge "$KILLS" && is "$(counter CpuBytes)" -gt 0
}

start_machine
check "plain: 50 are killed" killed 50 3>&1
check "pdload up" up --all
check "$KILLS are killed" killed "$KILLS" 3>&1
check "they were attached" redirected
check "nothing is attached any more, and no memory held" nothing_is_attached
echo 33 >/sys/module/pipedevice/parameters/over_tcp
check "$KILLS are killed while a third of the messages goes over TCP" killed "$KILLS" 3>&1
echo 0 >/sys/module/pipedevice/parameters/over_tcp
check "nothing is attached any more, and no memory held" nothing_is_attached
check "pdload down" down
check "the module has gone" wait_for 5 test ! -e /sys/module/pipedevice
finish
