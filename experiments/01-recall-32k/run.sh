#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Recall against work on 32,768 tokens of a real text through Qwen2.5-Coder-0.5B: the question of the
# paper's Figures 3 and 6. About 15 minutes on 2 cores; results are appended under results/.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/01-recall-32k
out=${1:-$here/results}
work=out/01-recall-32k
mkdir -p "$out" "$work"
model=$(datasets/fetch qwen)
text=$(datasets/fetch handbook)
dump=$work/qwen-32k.h5
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$model" -f "$text" -n 32768 --layers 2,12,20 -o "$dump"

rm -f "$out"/{ood,sparsity,curve}.jsonl
select=(-d "$dump" --heads 1 --keys 128-31743 --test-queries last:512)
"$bin/recall/ra-recall" ood "${select[@]}" -o "$out/ood.jsonl"
"$bin/recall/ra-recall" sparsity "${select[@]}" --ks 10,100,500,1000 -o "$out/sparsity.jsonl"
# One index per query head, as in the paper. `lists=708` is 4 sqrt(n).
indexes=(
  'ivf:share=head,lists=708,metric=raw,probes=4/8/16/32/64/128/256'
  'ivf:share=head,lists=2048,metric=raw,probes=16/32/64/128'
  'ivf:share=head,lists=2048,metric=query,probes=16/32/64/128'
  'hnsw:share=head,m=32,ef_construction=200,metric=raw,ef=100/400/1600'
  'hnsw:share=head,m=32,ef_construction=200,metric=lift,ef=100/200/400/800/1600'
  'hnsw:share=head,m=32,ef_construction=200,metric=query,ef=100/200/400'
  'roar:share=head,metric=raw,pool=0,ef=100/400/2000'
  'roar:share=head,metric=query,pool=0,ef=100/150/200'
  'roar:share=head,metric=query,ef=100/150/200'
)
for index in "${indexes[@]}"; do
  "$bin/recall/ra-recall" curve "${select[@]}" -k 100 --index "$index" --format none -o "$out/curve.jsonl"
done
for index in 'ivf:share=head,lists=708,probes=4/16/64' 'hnsw:share=head,ef=100/400'; do
  "$bin/recall/ra-recall" curve "${select[@]}" -k 100 --direction k_to_k --index "$index" --format none \
    -o "$out/curve.jsonl"
done
/usr/bin/python3 $here/tables.py "$out" | tee "$out/tables.md"
/usr/bin/python3 plots/recall_curve.py "$out/recall" "$out/curve.jsonl"
/usr/bin/python3 plots/mahalanobis.py "$out/mahalanobis" "$out/ood.jsonl"
