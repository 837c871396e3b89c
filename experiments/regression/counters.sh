#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything deterministic, at every level of this CPU: what indexes scan and find, what each mode of a tiny model reads,
# allocates and gets wrong, and the bits of its dump. Compared with baseline/LEVEL.jsonl, what was last accepted:
# exit 1 if anything changed beyond its tolerance, for the better too.
#
#   counters.sh BUILD             compare with the baseline
#   counters.sh BUILD --accept    take what is measured as the new baseline: commit it with the change that explains it
#   counters.sh BUILD -o FOLDER   only measure: FOLDER/LEVEL.jsonl
#
# Levels round differently, so each has a baseline of its own; within a level the numbers depend neither on the CPU nor
# on the number of threads. A level that this CPU lacks is left out, and said so. RA_COUNTERS_LEVELS: only these levels.
set -euo pipefail
build=$(realpath "${1:?usage: counters.sh BUILD [--accept | -o FOLDER]}")
purpose=${2:-compare}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/out
case $purpose in
  compare | --accept) ;;
  -o) mkdir -p "${3:?counters.sh: -o FOLDER}" && out=$(realpath "$3") ;;
  *) echo "counters.sh: error: usage: -: $purpose: is none of --accept, -o FOLDER" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")"
source ../setup.sh
mkdir -p "$out" baseline
# FAISS's k-means multiplies with OpenBLAS, which would choose by CPU.
export OPENBLAS_CORETYPE=Haswell
bench=$build/apps/bench/ra-bench recall=$build/apps/recall/ra-recall
for program in "$bench" "$recall" "$build/apps/dump/ra-dump"; do
  [[ -x $program ]] || { echo "counters.sh: error: no such program: $program: -: build it first" >&2 && exit 66; }
done

"$ra_python" inputs.py "$work"
"$ra_python" ../../datasets/make_tiny_gguf.py --context 2048 -o "$work/tiny.gguf"

indexes='flat;flat:bits=4;ivf:probes=4/16;hnsw:ef=50/100;hnswlib:ef=50;roar:ef=50/100;qivf:probes=4/16;qscan;qgraph:k=50,worth=60/180;pages:keys=512'
common=(-q -t 2 --format none)
modes=(--mode full --mode streaming --mode knn --mode ivf --mode hnsw --mode retrieval --mode tail --mode pages
  -k 20 --sink 16 --window 64)
model=(-m "$work/tiny.gguf" -f "$work/words.txt")

measure() { # LEVEL RECORDS
  export RA_CPU_LEVEL=$1
  local records=$2 dump=$work/tiny.h5 on_dump=$work/on-dump compiler
  "$build/apps/dump/ra-dump" "${model[@]}" -n 900 --generate 8 --dtype f32 --logits -q -t 2 --force -o "$dump"
  compiler=$("$bench" --build-info | "$ra_python" -c 'import json, sys; print(json.load(sys.stdin)["compiler"])')
  "$ra_python" dump_hashes.py "$dump" "$1" "$compiler" >"$records"
  "$recall" curve -d "$work/keys.h5" -k 50 "${common[@]}" --index "$indexes" -o "$records"
  "$bench" decode "${model[@]}" -c 900 -n 8 -r 1 "${common[@]}" "${modes[@]}" -o "$records"
  "$bench" decode "${model[@]}" -c 900 -n 8 -r 1 "${common[@]}" --mode retrieval --share 0.002 --sink 16 --window 64 -o "$records"
  "$bench" quality "${model[@]}" -c 900 --n-score 32 --needle 0 "${common[@]}" "${modes[@]}" -o "$records"
  "$recall" build -d "$dump" --layers 1 "${common[@]}" --index "$indexes" -o "$on_dump"
  "$bench" attention -d "$dump" "${common[@]}" "${modes[@]}" -r 1 --queries 16 -o "$on_dump"
  # A dump says when and by whom it was written: its bytes change, its contents are compared above.
  sed -E 's/"(input|source)_sha256":"[0-9a-f]{64}"/"\1_sha256":"contents: see kind dump"/g' "$on_dump" >>"$records"
  rm "$on_dump"
}

changed=0
for level in ${RA_COUNTERS_LEVELS:-scalar avx2 avx512 amx}; do
  if ! RA_CPU_LEVEL=$level "$bench" --build-info >/dev/null 2>&1; then
    echo "counters: level $level: not on this CPU"
    continue
  fi
  measure "$level" "$work/$level.jsonl"
  "$bench" compare "$work/$level.jsonl" --export "records=$out/$level.jsonl"
  case $purpose in
    -o) ;;
    --accept) cp "$out/$level.jsonl" "baseline/$level.jsonl" && echo "counters: level $level: accepted" ;;
    *)
      echo "counters: level $level"
      "$bench" compare "baseline/$level.jsonl" "$out/$level.jsonl" --counters --exact || changed=1
      ;;
  esac
done
if ((changed)); then
  echo "counters: they differ from what was accepted; if that is meant: experiments/regression/counters.sh $1 --accept"
fi
exit $changed
