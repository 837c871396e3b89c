#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# PyPI faiss-cpu and hnswlib beside the indexes of ra-recall, on the same keys and queries of a dump: one search call
# per position with the queries of a GQA group, one thread. Writes OUT/peers.jsonl, OUT/ra-recall.jsonl, OUT/table.md.
# PEER_PYTHON is an interpreter that has faiss-cpu and hnswlib. usage: vectors.sh DUMP.h5 OUT [LAYERS [KV_HEADS]]
set -euo pipefail
if (($# < 2 || $# > 4)); then
  sed -n '3,6s/^# //p' "$0" >&2
  exit 2
fi
dump=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
layers=${3:-2,12,20} kv_heads=${4:-0}
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
python=${PEER_PYTHON:-python3}
threads=${THREADS:-$(nproc)}
indexes=${INDEXES:-'flat;qivf;qscan;ivf:metric=query;hnsw:metric=lift;roar'}
select=(-d "$dump" --layers "$layers" --kv-heads "$kv_heads" --keys "${KEYS:-128-31743}" --test-queries "${TESTS:-last:512}" --kv-dtype bf16)
work=$(mktemp -d "$out/vectors.XXXXXX")
trap 'rm -rf "$work"' EXIT
rm -f "$out"/{peers,ra-recall}.jsonl
"$bin/recall/ra-recall" export -q "${select[@]}" --train 1 --format npy -o "$work/npy"
"$bin/recall/ra-recall" curve "${select[@]}" -k 100 -t "$threads" --batch group --index "$indexes" --format none \
  -o "$out/ra-recall.jsonl"
"$python" experiments/peers/vectors.py "$work/npy" "$out/peers.jsonl" --threads "$threads" ${ONLY:+--only "$ONLY"}
/usr/bin/python3 experiments/peers/vectors_table.py "$out/ra-recall.jsonl" "$out/peers.jsonl" | tee "$out/table.md"
