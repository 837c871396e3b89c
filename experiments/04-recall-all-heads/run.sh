#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Recall, attention mass, work and time of the indexes that a GQA group shares, over all 24 layers and
# 14 query heads of Qwen2.5-Coder-0.5B at 32,768 tokens. An interrupted run goes on; remove
# results/curve.jsonl to begin anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/04-recall-all-heads
out=${1:-$here/results}
dump=out/04-recall-all-heads/qwen-32k.h5
mkdir -p "$out" "$(dirname $dump)"
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -n 32768 -o "$dump"
curve=("$bin/recall/ra-recall" curve -d "$dump" --keys 128-31743 --test-queries last:128 -k 100 --batch group --no-samples --raw --resume
  -o "$out/curve.jsonl")
{
  # Timed on keys as a KV cache has them.
  "${curve[@]}" --kv-dtype bf16 --index 'flat:bits=8;flat:bits=4,rerank=150;flat:bits=4;qscan:rerank=300/400/600;qivf:probes=32/64/96/128/192'
  "${curve[@]}" --untimed --index 'qgraph:worth=60/120/180/240/360'
} | tee "$out/tables.md"
/usr/bin/python3 "$here/per_head.py" "$out/curve.jsonl" > "$out/per_head.md"
/usr/bin/python3 plots/heat_map.py "$out/heat_map" "$out/curve.jsonl"
