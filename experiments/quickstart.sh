#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole chain on a real model, from a bare Debian 12 with root or sudo: install, build, fetch
# SmolLM2-135M and a real text, dump Q/K/V, measure OOD, sparsity and recall, measure decode latency,
# draw. Everything it makes lies under out/quickstart (or the folder given as first argument).
set -euo pipefail
cd "$(dirname "$0")/.."
source experiments/setup.sh
started=$SECONDS
out=${1:-out/quickstart}
mkdir -p "$out"

step() { printf '\n== %s  [%d:%02d]\n' "$1" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }

step "1/7 packages"
ra_setup

step "2/7 build"
cmake --preset release -DRA_TESTS=OFF -DRA_BENCHMARKS=OFF -B build/quickstart >"$out/configure.log" ||
  { cat "$out/configure.log" >&2; exit 1; }
ra_build build/quickstart
bin=build/quickstart/apps

step "3/7 model and text"
model=$(datasets/fetch smollm2)
text=$(datasets/fetch handbook)
printf '%s\n%s\n' "$model" "$text"

# Results are appended by design; a new quickstart starts a new file.
rm -f "$out"/{ood,sparsity,curve,decode}.jsonl
layers=1,5,10,15,20,27

step "4/7 dump: 8,128 tokens of prompt and 64 generated, post-RoPE Q/K/V of layers $layers"
"$bin/dump/ra-dump" -m "$model" -f "$text" -n 8128 --generate 64 --layers "$layers" --force -o "$out/dump.h5"

step "5/7 how far queries lie from keys, how few keys matter"
"$bin/recall/ra-recall" ood -d "$out/dump.h5" -o "$out/ood.jsonl"
"$bin/recall/ra-recall" sparsity -d "$out/dump.h5" -o "$out/sparsity.jsonl"

step "6/7 recall of the top 32 keys against work"
# One query head, one index per query head as in the paper; then the control, keys as queries.
"$bin/recall/ra-recall" curve -d "$out/dump.h5" --heads 4 -k 32 --test-queries last:256 \
  --index 'ivf:share=head,metric=raw;ivf:share=head,metric=query' \
  --index 'hnsw:share=head,metric=raw;hnsw:share=head,metric=lift;hnsw:share=head,metric=query' \
  --index 'roar:share=head,metric=raw;roar:share=head,metric=query' -o "$out/curve.jsonl"
"$bin/recall/ra-recall" curve -d "$out/dump.h5" --heads 4 -k 32 --test-queries last:256 \
  --direction k_to_k --index 'ivf:share=head;hnsw:share=head' -o "$out/curve.jsonl"

step "7/7 decode latency, six modes over one prefill of 8,160 tokens"
# A lighter HNSW than the default, to keep the whole run short: 90 indexes a mode.
"$bin/bench/ra-bench" decode -m "$model" -f "$text" -c 8192 -n 32 -r 3 --train 512 \
  --mode full,streaming,knn,ivf,hnsw,retrieval \
  --index 'hnsw:metric=lift,m=16,ef_construction=80' -o "$out/decode.jsonl"

step "pictures"
"$ra_python" plots/recall_curve.py "$out/recall" "$out/curve.jsonl"
"$ra_python" plots/mahalanobis.py "$out/mahalanobis" "$out/ood.jsonl"
"$ra_python" plots/latency_breakdown.py "$out/latency" "$out/decode.jsonl"

step "done"
"$ra_python" experiments/quickstart_summary.py "$out"
