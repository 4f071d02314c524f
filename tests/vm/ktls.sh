#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/net/ktls.sh with both engines, on a kernel that has TLS. Runs in a virtual machine.
set -euo pipefail
modprobe tls
ENGINES="sockmap cpu" exec "$(dirname "$0")/../net/ktls.sh"
