#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/programs/proxies.sh over the module. Runs in a virtual machine.
set -euo pipefail
exec "$(dirname "$0")/programs.sh" proxies
