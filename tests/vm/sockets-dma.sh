#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The suite of connected sockets with DMA, in one way: in tests/vm-long in more. Runs in a
# virtual machine.
set -euo pipefail
case $(uname -r) in
6.1.*) way=(ipv6 between) ;;
*) way=(ipv4 loopback) ;;
esac
LIMIT=${LIMIT:-20000} exec "$(dirname "$0")/../sockets/sockets.sh" dma "${way[@]}"
