#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main figures again on the CPU at hand: decode of Qwen2.5-Coder-0.5B at 4,096 to 32,768 tokens, indexes of
# all heads at 32,768, every kernel beside its limit; and, with PEER_PYTHON (an interpreter with faiss-cpu and hnswlib), the
# indexes beside those of others. About 15 minutes on 2 cores.
#
#   run.sh [FOLDER [BASE_BUILD]]    FOLDER defaults to results/; with BASE_BUILD a prefill of 4,096 tokens and decode are paired with that build's
set -euo pipefail
cd "$(dirname "$0")/../.."
here=experiments/15-another-cpu
build=${RA_BUILD:-build/release}
bin=$build/apps
out=${1:-$here/results}
base=${2:-}
work=out/15-another-cpu
dump=out/04-recall-all-heads/qwen-32k.h5
mkdir -p "$out" "$work" "$(dirname $dump)"
model=$(datasets/fetch qwen) text=$(datasets/fetch handbook)
[[ -e $dump && -e $work/32k.kv ]] ||
  "$bin/dump/ra-dump" -m "$model" -f "$text" -n 32768 --force --kv-out "$work/32k.kv" -o "$dump"
rm -f "$out"/{decode,share,select}.jsonl "$work"/{recall,graphs}.jsonl

decode=(decode -m "$model" -f "$text" --kv-in "$work/32k.kv" --trust-kv)
"$bin/bench/ra-bench" "${decode[@]}" -c 4096,8192,16384,32768 -n 32 -r 3 -k 100 --mode full,streaming,knn,retrieval \
  --index 'flat:bits=8;flat:bits=4;qivf' -o "$out/decode.jsonl" | tee "$out/decode.txt"
"$bin/bench/ra-bench" "${decode[@]}" -c 4096,8192,16384,32768 -n 32 -r 3 --mode full,retrieval -o "$out/share.jsonl"
/usr/bin/python3 plots/latency_breakdown.py "$out/latency" "$out/decode.jsonl"

for select in head group; do  # each head its own best keys, or all heads those of any
  "$bin/bench/ra-bench" attention -d $dump --cold --queries 64 -r 1 -k 100 --mode knn,retrieval --index 'flat;flat:bits=4;qscan;qivf' \
    --select $select -o "$out/select.jsonl" | tee "$out/select-$select.txt"
done
graphs=("$bin/recall/ra-recall" curve -d $dump --keys 128-31743 --test-queries last:128 -k 100 --batch group --no-samples --raw --untimed)
"${graphs[@]}" --select group --index 'qgraph:floor=700,worth=10/30/60/120' -o "$work/graphs.jsonl" | tee "$out/graphs.md"
"${graphs[@]}" --index 'qgraph:candidates=64,worth=60/120/150/180' -o "$work/graphs.jsonl" | tee "$out/graph-64.md"
"${graphs[@]}" --index 'qgraph:candidates=80,worth=120/150/180/210' -o "$work/graphs.jsonl" | tee "$out/graph-80.md"

"$bin/recall/ra-recall" curve -d $dump --keys 128-31743 --test-queries last:128 -k 100 --batch group --no-samples --raw --kv-dtype bf16 \
  --index 'flat:bits=8;flat:bits=4,rerank=150;flat:bits=4;qscan:rerank=600;qivf:probes=64/96/104/128' -o "$work/recall.jsonl" | tee "$out/recall.md"

[[ -z ${PEER_PYTHON:-} ]] || TESTS=last:128 INDEXES='flat;flat:bits=8;flat:bits=4;qscan:rerank=300/400/600;qivf:probes=64/96/128/192;qivf:metric=raw,probes=64/96/128' \
  experiments/peers/vectors.sh $dump "$out/vectors" 12

RA_BUILD=$build experiments/kernels/run.sh "$(realpath "$out")/kernels"

if [[ -n $base ]]; then
  rm -f "$out"/{base,new}.jsonl
  for pair in 1 2 3 4 5 6; do  # A B, B A, ...
    order=("$base/apps" "$bin") names=(base new)
    ((pair % 2)) || order=("$bin" "$base/apps") names=(new base)
    for i in 0 1; do
      "${order[i]}/bench/ra-bench" decode -m "$model" -f "$text" -c 4096 -n 32 -r 2 --mode full --pair $pair -q --format none -o "$out/${names[i]}.jsonl"
    done
  done
  "$bin/bench/ra-bench" compare "$out"/{base,new}.jsonl >"$out/compare.md" || true  # a gain is no failure, a doubt no reason to stop
fi
