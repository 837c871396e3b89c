#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What each choice of an attention-aware index is worth: Qwen2.5-Coder-0.5B at 32,768 tokens, three query heads of KV
# head 0, lists in six layers and graphs in three, one choice changed at a time. About 10 minutes on 2 idle cores. An
# interrupted run goes on; remove results/*.jsonl to begin anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/11-ablation
out=${1:-$here/results}
dump=${RA_DUMP:-out/04-recall-all-heads/qwen-32k.h5}
saved=out/11-ablation
mkdir -p "$out" "$saved" "$(dirname "$dump")"
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -n 32768 -o "$dump"
lists=2,7,12,16,20,22 graphs=2,7,22 # layers
from=(-d "$dump" --heads 1,3,5 --keys 128-31743)
curve() { # FILE LAYERS OPTIONS...: the records of one question
  "$bin/recall/ra-recall" curve "${from[@]}" --layers "$2" --untimed --no-samples --format none --resume -o "$out/$1.jsonl" "${@:3}"
}
test=(--test-queries last:128)
train=(--train 1024)
probes=probes=8/16/32/64/128

# Metric: what keys are near to each other for. A graph's links and a list's members follow from it.
curve metric "$lists" "${test[@]}" "${train[@]}" --index "flat;ivf:$probes;ivf:metric=query,$probes;ivf:metric=query,share=head,$probes"
for metric in raw lift centred query; do
  curve metric "$graphs" "${test[@]}" "${train[@]}" --index "hnsw:m=16,ef_construction=100,metric=$metric,ef=100/200/400/800"
done
curve metric "$lists" "${test[@]}" "${train[@]}" --index "qivf:metric=raw,$probes;qivf:$probes"
curve metric "$graphs" "${test[@]}" "${train[@]}" --index 'qgraph:metric=group,worth=60/120/180/360'

# Number of keys wanted, from the same indexes.
indexes='ivf;ivf:metric=query;qivf;roar:beam=100;roar:beam=100,metric=raw;qgraph'
if [[ ! -e $saved/done ]]; then
  "$bin/recall/ra-recall" build "${from[@]}" --layers "$graphs" "${train[@]}" --index "$indexes" --format none --force --save "$saved"
  touch "$saved/done"
fi
for k in 10 50 100 200; do
  curve k "$graphs" "${test[@]}" "${train[@]}" -k "$k" --load "$saved" --index \
    "ivf:$probes;ivf:metric=query,$probes;qivf:$probes;roar:beam=100,ef=50/100/200/400;roar:beam=100,metric=raw,ef=100/200/400/800;qgraph:worth=60/120/180/360"
done

# Training queries: how many of each of the seven heads, and from where.
learners="ivf:metric=query,$probes;qivf:$probes"
for n in 16 64 256 4096; do curve training "$lists" "${test[@]}" --train "$n" --index "$learners"; done
for n in 256 1024; do curve training "$lists" "${test[@]}" --train "$n" --train-pick last --index "$learners"; done
curve training "$graphs" "${test[@]}" --train 64 --index 'roar:beam=100,ef=50/100/200/400'
curve training "$graphs" "${test[@]}" --train 1024 --train-pick last --index 'roar:beam=100,ef=50/100/200/400'

# Where a search of a graph starts.
for entry in centroid newest last; do
  curve entry "$graphs" "${test[@]}" "${train[@]}" --index "roar:beam=100,entry=$entry,ef=50/100/200/400"
done
for entry in hubs=0 steps=0,memory=0,best=0 hubs=0,steps=0,memory=0,best=0,probes=0; do
  curve entry "$graphs" "${test[@]}" "${train[@]}" --index "qgraph:$entry,worth=60/120/180/360"
done

# Error, rung by rung: the exact top k, codes of the keys, lists, lists with codes.
cells=lists=256,probes=16/48
curve errors "$lists" "${test[@]}" "${train[@]}" --batch group --index "flat;flat:bits=8;flat:bits=4;qivf:codes=none,$cells;qivf:codes=8,$cells;qivf:codes=4,$cells"

# Seeds: other training queries, other test queries, another index.
curve seeds "$graphs" --repeats 3 --train 1024 --test-queries last:512 --test-draw 128 --index "ivf:$probes;ivf:metric=query,$probes;qivf:$probes"
# Votes of training queries in cells of their own space, a model in NumPy.
/usr/bin/python3 "$here/votes.py" "$dump" 5,12,18 1,3,5 > "$out/votes.md"
/usr/bin/python3 "$here/table.py" "$out" > "$out/tables.md"
/usr/bin/python3 plots/ablation.py "$out/ablation" "$out"/{metric,k,training}.jsonl
