#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every kernel at every level of this CPU and every index search, on one thread, beside what the level can read and
# multiply: table and picture. 2 minutes; on a shared machine best in a quiet hour.
#
#   run.sh [FOLDER]    FOLDER defaults to results/
set -euo pipefail
here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")
build=${RA_BUILD:-$top/build/release}
out=${1:-$here/results}
mkdir -p "$out"
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT
# Repetitions of all cases are mixed, so that a slow minute does not fall on one kernel.
"$build/tests/bench_micro/micro_bench" --benchmark_min_time=0.01 --benchmark_repetitions=5 \
  --benchmark_enable_random_interleaving=true --benchmark_out="$raw" --benchmark_out_format=json >/dev/null
"$build/apps/bench/ra-bench" --build-info | /usr/bin/python3 "$here/records.py" "$raw" >"$out/kernels.jsonl"
/usr/bin/python3 "$here/table.py" "$out/kernels.jsonl" >"$out/table.md"
/usr/bin/python3 "$top/plots/kernel_limits.py" "$out/kernels" "$out/kernels.jsonl"
