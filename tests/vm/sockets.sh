#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The suite of connected sockets over the module, in one way, which takes two minutes: in
# tests/vm-long in all of them. Runs in a virtual machine.
set -euo pipefail
case $(uname -r) in
6.1.*) way=(ipv4 loopback) ;;
*) way=(ipv6 between) ;;
esac
LIMIT=${LIMIT:-20000} exec "$(dirname "$0")/../sockets/sockets.sh" cpu "${way[@]}"
