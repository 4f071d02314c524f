#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/vm/kill.sh with five times the processes. Runs in a virtual machine.
set -euo pipefail
KILLS=${KILLS:-500} exec "$(dirname "$0")/../vm/kill.sh"
