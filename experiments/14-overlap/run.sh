#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How far the top 100 of a query is that of the query some steps before, of another head of its group, of another layer: three
# layers in a row at three depths of each model (all global ones of Gemma), four kinds of text. About
# 30 minutes on 2 cores, most of it the dumps, which are shared with 02 and 13.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/14-overlap
out=${1:-$here/results}
mkdir -p "$out"
source experiments/text_dumps.sh
rm -f "$out"/*.jsonl
declare -A some_layers=([smollm2]=5-7,14-16,25-27 [qwen]=2-4,11-13,20-22 [gemma3]=5,11,17)
for model in "${models[@]}"; do
  overlap=("$bin/recall/ra-recall" overlap --layers "${some_layers[$model]}" -k 100 --format none)
  for text in "${texts[@]}"; do
    "${overlap[@]}" -d "$(text_dump "$model" "$text")" --test-queries last:128 -o "$out/$model-$text.jsonl"
  done
done
/usr/bin/python3 $here/table.py "$out" | tee "$out/table.md"
/usr/bin/python3 plots/overlap_by_lag.py "$out/by_lag" "$out"/*.jsonl
