#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a decoded token of Qwen2.5-Coder-0.5B costs at 2K to 128K (YaRN), by mode, and what recall at 131,072 tokens lies behind it.
# The prefill takes 17 minutes with AMX, 40 without, and is kept in out/long-context; the rest about 30, a third of it the graphs.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/long-context
out=${1:-$here/results}
work=out/long-context
mkdir -p "$out" "$work"
model=$(datasets/fetch qwen) text=$(datasets/fetch handbook)
run=(-m "$model" -f "$text" --rope-scaling yarn --rope-scale 4)
[[ -e $work/qwen-128k.h5 ]] || "$bin/dump/ra-dump" "${run[@]}" -n 131072 --layers 2,7,12,16,20,22 --queries all \
  --kv-out "$work/q128.kv" -o "$work/qwen-128k.h5"
decode=("$bin/bench/ra-bench" decode "${run[@]}" --kv-in "$work/q128.kv" --trust-kv)
rm -f "$out"/{decode,modes,others,raw,number,faiss,recall}.jsonl
"${decode[@]}" -c '2048-131072*2' -n 16 -r 5 --mode full -o "$out/decode.jsonl"
"${decode[@]}" -c 4096,8192,16384,32768,131072 -n 32 -r 5 --mode full,streaming,knn,retrieval --index 'flat:bits=8;flat:bits=4;qivf' \
  -o "$out/modes.jsonl"
"${decode[@]}" -c 32768,131072 -n 32 -r 5 -k 100 --mode full,knn,retrieval,tail,pages \
  --index 'flat;qivf;qivf:metric=raw,probes=165' -o "$out/others.jsonl"
rule=(--mode full,retrieval -n 32 -r 5)
"${decode[@]}" -c 32768,131072 "${rule[@]}" --index 'qivf;qivf:metric=raw' -o "$out/raw.jsonl"
"${decode[@]}" -c 8192,32768,131072 "${rule[@]}" -k 100 -o "$out/number.jsonl"
"${decode[@]}" -c 131072 -n 16 -r 2 -k 100 --mode full,ivf,retrieval --index 'ivf:probes=128;qivf' -o "$out/faiss.jsonl"
/usr/bin/python3 "$here/parts.py" "$out/modes.jsonl" > "$out/parts.md"
/usr/bin/python3 plots/latency_breakdown.py "$out/latency" "$out/modes.jsonl"
/usr/bin/python3 plots/latency_breakdown.py "$out/others" "$out/others.jsonl"
curve=("$bin/recall/ra-recall" curve -d "$work/qwen-128k.h5" --keys 128-130559 --test-queries last:64 --train 8192 -k 100 --batch group
  --no-samples --raw --untimed -o "$out/recall.jsonl")
"${curve[@]}" --kv-dtype bf16 --index 'qivf:probes=64/90/128/192/256;qivf:metric=raw,probes=128/165/256'
"${curve[@]}" --index 'qgraph:worth=60/120/180/240'
