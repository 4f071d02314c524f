#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/vm/module.sh with more of what takes long. Runs in a virtual machine.
set -euo pipefail
CYCLES=${CYCLES:-200} CONNECTIONS=${CONNECTIONS:-1000} exec "$(dirname "$0")/../vm/module.sh"
