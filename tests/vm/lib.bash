# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests of the module share. A test sources this in the place of
# tests/net/lib.bash, and then calls start_machine.
#
#     start_machine             two namespaces on a bridge: client 10.1.0.1, server 10.1.0.2
#     counter NAME              of the module
#     nothing_is_attached       and no memory is held, within a few seconds

ENGINE=cpu
# shellcheck source=tests/net/lib.bash
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.bash"
# shellcheck disable=SC2034  # for the tests
FAULTS=$(realpath "$BUILD/tests/faults")

start_machine() {
	if [ "$(hostname)" != pipedevice-vm ]; then
		echo "Bail out! loads a module: only for a machine of tools/vm/run.sh"
		exit 1
	fi
	start_host
	add_ns client bridge 10.1.0.1/24
	add_ns server bridge 10.1.0.2/24
}

counter() {
	awk -v name="$1" '$1 == name { print $2 }' /proc/pipedevice_stat
}

is_zero() {
	is "$(counter "$1")" -eq 0
}

# Contexts are freed a grace period after their socket, the last block of a pool a second after.
nothing_is_attached() {
	wait_for 10 is_zero CurrConns && wait_for 10 is_zero CurrPoolBytes
}
