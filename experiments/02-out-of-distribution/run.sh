#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How far queries lie from the keys, on every head of three models over four kinds of text, 8,192 tokens each (the paper's
# Figure 3b). About 20 minutes on 2 cores, nearly all of it the dumps, which 13 and 14 share.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/02-out-of-distribution
out=${1:-$here/results}
mkdir -p "$out"
source experiments/text_dumps.sh
rm -f "$out"/*.jsonl
for model in "${models[@]}"; do
  # Some directions of Gemma's keys hardly vary.
  ridge=0
  if [[ $model == gemma3 ]]; then ridge=0.01; fi
  for text in "${texts[@]}"; do
    "$bin/recall/ra-recall" ood -d "$(text_dump "$model" "$text")" --test-queries last:512 --ridge $ridge --no-samples --format none \
      -o "$out/$model-$text.jsonl"
  done
done
/usr/bin/python3 $here/table.py "$out" | tee "$out/table.md"
/usr/bin/python3 plots/ood_by_layer.py "$out/by_layer" "$out"/*.jsonl
