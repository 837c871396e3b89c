#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How many keys hold the attention: on all heads of every third layer of three models over four kinds of text, 8,192 tokens each, and over the
# handbook from 1,024 to 8,192 tokens, where generated tokens ask (the paper's Figure 2). About 30 minutes on 2 cores, nearly all
# of it the dumps; those of the texts are shared with 02 and 14.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/13-dynamic-sparsity
out=${1:-$here/results}
mkdir -p "$out"/{texts,lengths}
source experiments/text_dumps.sh
rm -f "$out"/{texts,lengths}/*.jsonl
sparsity=("$bin/recall/ra-recall" sparsity --no-samples --format none)
declare -A some_layers=([smollm2]=0,3,6,9,12,15,18,21,24,27 [qwen]=0,3,6,9,12,15,18,21 [gemma3]=5,11,17)
for model in "${models[@]}"; do
  # Keys that an index would have to find: those outside sink and window.
  for text in "${texts[@]}"; do
    "${sparsity[@]}" -d "$(text_dump "$model" "$text")" --layers "${some_layers[$model]}" --test-queries last:128 \
      --ks 100 -o "$out/texts/$model-$text.jsonl"
  done
  # All keys of the prompt, and the top 1 % of them, as in the paper.
  for tokens in "${lengths[@]}"; do
    "${sparsity[@]}" -d "$(length_dump "$model" "$tokens")" --sink 0 --window 0 --layers "${some_layers[$model]}" \
      --ks $((tokens / 100)) -o "$out/lengths/$model.jsonl"
  done
done
/usr/bin/python3 $here/table.py "$out" | tee "$out/table.md"
/usr/bin/python3 plots/sparsity_by_layer.py "$out/by_layer" "$out"/texts/*.jsonl
/usr/bin/python3 plots/sparsity_by_context.py "$out/by_context" "$out"/lengths/*.jsonl
