#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/net/order.sh over the module, with all its connections. Runs in a virtual machine.
set -euo pipefail
ENGINE=cpu exec "$(dirname "$0")/../net/order.sh"
