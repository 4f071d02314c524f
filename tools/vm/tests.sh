#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/vm/tests.sh [NAME...]   in a virtual machine: tools/run-tests unit net, of tests/net
# only those named, and tools/vm/smoke.sh. The others take minutes each under emulation.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=$(realpath "${BUILD:-build}")
tree=/run/quick
export BUILD PDLOAD=${PDLOAD:-$BUILD/pdload}

# A checkout of what is to run, and no more.
mkdir -p $tree/tools/vm $tree/tests/net
cp tools/run-tests $tree/tools/
cp tests/tap.bash $tree/tests/
cp -r tests/unit $tree/tests/
cp tests/net/lib.bash $tree/tests/net/
cp tools/vm/smoke.sh $tree/tests/net/
for name; do
	cp "tests/net/$name.sh" $tree/tests/net/
done
exec $tree/tools/run-tests unit net
