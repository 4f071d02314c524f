#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/vm-long/programs.sh [PROGRAM...]: these tests of tests/programs over the module,
# with less to do and more time. Runs in a virtual machine.
set -euo pipefail
# shellcheck source=tests/net/lib.bash
. "$(dirname "$0")/../../tests/net/lib.bash"

[ $# -gt 0 ] || set -- redis nginx postgresql python openssl
export ENGINE=${ENGINE:-cpu} PDLOAD SMALLER=${SMALLER:-20} PATIENCE=${PATIENCE:-10}

if [ "$(hostname)" != pipedevice-vm ]; then
	echo "Bail out! loads a module: only for a machine of tools/vm/run.sh"
	exit 1
fi

# The cases of a test become cases of this one.
run() {
	local line began=$SECONDS

	while IFS= read -r line; do
		case $line in
		"ok "*) ok "$1: ${line#ok * - }" ;;
		"not ok "*) not_ok "$1: ${line#not ok * - }" ;;
		"1.."*) ;;
		"ended "*) check "$1 ends well" [ "$line" = "ended 0" ] ;;
		*) note <<<"$line" ;;
		esac
	done < <(
		status=0
		"tests/programs/$1.sh" 2>&1 || status=$?
		echo "ended $status"
	)
	echo "# $1 took $((SECONDS - began)) s"
}

start_host
for program; do
	run "$program"
done
finish
