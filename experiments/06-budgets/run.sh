#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Output error against keys and bytes read, for several ways to choose how many keys a head attends to and for the tail
# estimate: the last 16 queries of 32,768 tokens of Qwen2.5-Coder-0.5B in six layers, all heads. About 4 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/06-budgets
out=${1:-$here/results}
dump=${RA_DUMP:-out/04-recall-all-heads/qwen-32k.h5}
mkdir -p "$out" "$(dirname "$dump")"
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -n 32768 -o "$dump"
rm -f "$out/attention.jsonl"
measure() {
  "$bin/bench/ra-bench" attention -d "$dump" --layers 2,7,12,16,20,22 --queries 16 -r 1 --format none -o "$out/attention.jsonl" "$@"
}
for k in 25 100 400 1600; do
  measure -k "$k" --mode knn,retrieval,tail --select head
  measure -k "$k" --mode retrieval --select group
  measure -k "$k" --mode knn --budget measured
  measure -k "$k" --mode tail --index flat
done
for share in 0.004 0.002 0.001 0.0005 0.00025; do
  for rest in estimate drop; do measure --mode retrieval --share "$share" --rest "$rest"; done
done
for p in 0.9 0.98; do measure -k 400 --mode knn --top-p "$p"; done
for beta in 5 7; do measure -k 400 --mode knn --range "$beta"; done
for keys in 1024 4096; do measure --mode pages --index "pages:keys=$keys"; done
measure --mode streaming
# What a share is to other models.
rm -f "$out/models.jsonl"
for case in 'smollm2 4096' 'smollm2 8192' 'gemma3 16384'; do
  read -r model context <<< "$case"
  run=("$bin/bench/ra-bench" decode -m "$(datasets/fetch "$model")" -f "$(datasets/fetch handbook)" -c "$context" -n 32 -r 1 --format none)
  kv=$(dirname "$dump")/$model-$context.kv
  [[ -e $kv ]] || "${run[@]}" --mode full --kv-out "$kv" -o /dev/null
  for rule in '-k 100' '--share 0.001' '--share 0.0005' '--share 0.00025' '--share 0.000125' '--share 0.000125 --rest drop'; do
    "${run[@]}" --mode full,retrieval $rule --kv-in "$kv" -o "$out/models.jsonl"
  done
done
/usr/bin/python3 "$here/table.py" "$out/attention.jsonl" > "$out/tables.md"
/usr/bin/python3 plots/budgets.py "$out/budgets" "$out/attention.jsonl"
