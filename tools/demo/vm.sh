#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The demo in a machine of tools/vm/run.sh, with the module and with less to do
# than on a real one. The machine has one CPU: what starts containers has the kernel
# rewrite its own code, and QEMU may run what another CPU has just rewritten (tests/net/lib.bash).
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(hostname)" != pipedevice-vm ]; then
	echo "tools/demo/vm.sh: not in the emulated machine: run \`make demo-vm\`" >&2
	exit 1
fi
export DEMO_SECONDS=${DEMO_SECONDS:-1} DEMO_RATE=${DEMO_RATE:-1000} DEMO_PATIENCE=${DEMO_PATIENCE:-60}
export NAMESPACES_PARENT=/run # which is in memory; /tmp is on an overlay
exec tools/demo/demo.sh
