#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Static set and retrieval of a layer side by side, or one after the other, on Qwen2.5-Coder-0.5B at 8K and 32K tokens; with 1 and 2
# threads. Starts from the snapshot of experiments/long-context. About 2 minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=${RA_BIN:-build/release/apps}/bench/ra-bench
out=${1:-experiments/08-co-execution/results}
kv=${RA_KV:-out/long-context/q128.kv}
[[ -e $kv ]] || { echo "no $kv: run experiments/long-context/run.sh first" >&2; exit 66; }
mkdir -p "$out"
rm -f "$out/decode.jsonl"
for threads in 1 2; do
  for schedule in parallel sequential parallel sequential; do
    "$bench" decode -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" --rope-scaling yarn --rope-scale 4 --kv-in "$kv" \
      --trust-kv -c 8192,32768 -n 32 -r 1 -t "$threads" --mode full,retrieval -k 100 --schedule "$schedule" --format none \
      -o "$out/decode.jsonl"
  done
done
/usr/bin/python3 experiments/08-co-execution/table.py "$out/decode.jsonl" | tee "$out/tables.md"
