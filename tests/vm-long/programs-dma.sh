#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/vm-long/programs.sh with DMA. Runs in a virtual machine.
set -euo pipefail
ENGINE=dma exec "$(dirname "$0")/programs.sh" redis nginx postgresql
