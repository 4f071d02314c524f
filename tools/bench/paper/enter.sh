#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# enter.sh COMMAND...   runs it as one of mpirun's processes, in the network namespace that is its
set -euo pipefail

exec nsenter --net="/run/netns/rank$((OMPI_COMM_WORLD_RANK + 1))" "$@"
