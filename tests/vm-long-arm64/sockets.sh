#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The suite of connected sockets over DMA channels of a real driver: all cases, in two families.
set -euo pipefail
PATTERN='*' exec bash "$(dirname "$0")/../vm-arm64/sockets.sh" ipv4 ipv6
