#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/fuzz/run.sh SECONDS: fuzz the policy parser for that long, in TAP.
# Starts from the corpus beside it and leaves that as it is; an input that
# breaks the parser is kept in the build directory and named.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:?usage: tests/fuzz/run.sh SECONDS}
target=${BUILD:-build}/tests/fuzz/policy
found=${BUILD:-build}/tests/fuzz/found
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$work/corpus" "$found"
echo 1..1
# A policy of full size takes some 10 KB; one run may take 5 s and 1 GiB.
if "$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=16384 \
	-dict=tests/fuzz/policy.dict -artifact_prefix="$found/" -print_final_stats=1 \
	-verbosity=1 "$work/corpus" tests/fuzz/corpus >"$work/log" 2>&1; then
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
	echo "ok 1 - the policy parser stands $seconds s of fuzzing (${runs:-0} inputs)"
else
	sed 's/^/# /' "$work/log" | tail -n 60
	echo "not ok 1 - the policy parser stands $seconds s of fuzzing (input in $found)"
	exit 1
fi
