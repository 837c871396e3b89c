#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Facts hidden in 32,768 tokens of the handbook, asked of Qwen2.5-Coder-0.5B after one prefill: with
# full attention and with the static set alone; then, on the snapshot of that prefill, with the other
# modes of MODES and the options MORE (`-k 100` where that is not set). SEEDS="1 2 3" hides other facts
# in other prompts, one prefill each; TASKS are those of `ra-bench quality --task`.
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=${RA_BIN:-build/release/apps}/bench/ra-bench
here=experiments/03-needles
out=${1:-$here/results}
threads=${THREADS:-$(nproc)}
mkdir -p "$out" out/03-needles
model=$(datasets/fetch qwen)
text=$(datasets/fetch handbook)
kv=out/03-needles/ctx.kv
rm -f "$out/quality.jsonl"
for seed in ${SEEDS:-1}; do
  run=("$bench" quality -m "$model" -f "$text" -c 32768 --task "${TASKS:-single,passkey,kv}" --needle 5 --n-score 128
    --seed "$seed" -t "$threads" -o "$out/quality.jsonl")
  "${run[@]}" --mode full,streaming --kv-out "$kv" --force
  [[ -z ${MODES:-} ]] || "${run[@]}" --mode "$MODES" ${MORE:--k 100} --kv-in "$kv"
done
/usr/bin/python3 $here/table.py "$out/quality.jsonl" | tee "$out/table.md"
