#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/net/order.sh with DMA. Runs in a virtual machine.
set -euo pipefail
ENGINE=dma SMALLER=${SMALLER:-5} exec "$(dirname "$0")/../net/order.sh"
