#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does the query metric help on other models? SmolLM2-135M at 8,192 tokens (30 layers, one query head of each KV head)
# and the three global layers of Gemma 3 270M at 16,384 tokens. About 15 minutes on 2 cores. An interrupted run goes
# on; remove results/*.jsonl to begin anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/10-other-models
out=${1:-$here/results}
work=out/10-other-models
mkdir -p "$out" "$work"
text=$(datasets/fetch handbook)
dump() { # NAME OPTIONS...: prompt and generated tokens fill the context of SmolLM2
  [[ -e $work/$1.h5 ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch "$1")" -f "$text" --generate 256 --temp 0.8 -o "$work/$1.h5" "${@:2}"
}
dump smollm2 -n 7936
dump gemma3 -n 16128 --layers 5,11,17

indexes='flat;ivf:probes=4/16/48;ivf:metric=query,probes=4/16/48;ivf:metric=query,share=head,probes=4/16/48;hnsw:ef=100/300;hnsw:metric=lift,ef=100/300;hnsw:metric=query,ef=100/300;roar:ef=100/200;qivf:metric=raw,probes=8/24/64;qivf:probes=8/24/64;qgraph:worth=60/180'
measure() { # NAME RIDGE OPTIONS...: some directions of Gemma's keys hardly vary
  local ridge=$2 select=(-d "$work/$1.h5" --test-queries last:128 "${@:3}")
  "$bin/recall/ra-recall" curve "${select[@]}" --train 2048 -k 100 --untimed --no-samples --resume --index "$indexes" --format none \
    -o "$out/$1.jsonl"
  rm -f "$out/$1-vectors.jsonl"
  "$bin/recall/ra-recall" ood "${select[@]}" --samples 200 --ridge "$ridge" --format none -o "$out/$1-vectors.jsonl"
  "$bin/recall/ra-recall" sparsity "${select[@]}" --ks 100 --format none -o "$out/$1-vectors.jsonl"
  /usr/bin/python3 plots/recall_by_position.py "$out/$1-position" "$out/$1.jsonl" --index 'ivf' --index 'ivf:metric=query' \
    --index 'hnsw:metric=query' --index roar --index qgraph
}
measure smollm2 0 --heads 0,4,8
measure gemma3 0.01
/usr/bin/python3 "$here/table.py" "$out"/{smollm2,gemma3}.jsonl "$out"/{smollm2,gemma3}-vectors.jsonl > "$out/tables.md"
/usr/bin/python3 plots/metric_gain.py "$out/metric_gain" "$out"/{smollm2,gemma3}.jsonl
