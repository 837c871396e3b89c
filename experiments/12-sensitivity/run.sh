#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Decode latency of Qwen2.5-Coder-0.5B at 8,192 tokens with 1 and 2 threads, alone and while another
# process copies memory without pause. Every run decodes on from one prefill.
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=${RA_BIN:-build/release/apps}/bench/ra-bench
here=experiments/12-sensitivity
out=${1:-$here/results}
mkdir -p "$out" out/12-sensitivity
model=$(datasets/fetch qwen)
text=$(datasets/fetch handbook)
kv=out/12-sensitivity/ctx.kv
run=("$bench" decode -m "$model" -f "$text" -c 8192 -n 32 --format none)
rm -f "$out"/{alone,beside}.jsonl
[[ -f $kv ]] || "${run[@]}" -r 1 --mode full --kv-out "$kv" -o /dev/null
measure() {  # FILE
  for threads in 1 2; do
    "${run[@]}" -r 3 --kv-in "$kv" --mode full,streaming,knn,retrieval --index 'flat:bits=8;qivf' -k 100 -t $threads -o "$1"
  done
}
measure "$out/alone.jsonl"
/usr/bin/python3 $here/load.py > "$out/load.txt" &
load=$!
trap 'kill $load 2> /dev/null || true' EXIT
measure "$out/beside.jsonl"
kill $load
wait $load || true
/usr/bin/python3 $here/table.py "$out" | tee "$out/table.md"
/usr/bin/python3 plots/sensitivity.py "$out/sensitivity" "$out"/{alone,beside}.jsonl
