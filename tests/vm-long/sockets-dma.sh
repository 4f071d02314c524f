#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The suite of connected sockets with DMA, in all families. Runs in a virtual machine.
set -euo pipefail
LIMIT=${LIMIT:-20000} exec "$(dirname "$0")/../sockets/sockets.sh" dma
