#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Attention of one token and layer from 128K to 2M synthetic tokens, made from the dump of 32,768 tokens of
# Qwen2.5-Coder-0.5B; first, synthetic against real at 32,768. About 6 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/07-to-2m-tokens
out=${1:-$here/results}
dump=${RA_DUMP:-out/04-recall-all-heads/qwen-32k.h5}
mkdir -p "$out" "$(dirname "$dump")"
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -n 32768 -o "$dump"
rm -f "$out"/{real,synthetic,attention,share,probes}.jsonl
measure() {
  "$bin/bench/ra-bench" attention -d "$dump" --format none "$@"
}
check=(-k 100 --layers 5,12,18 --queries 16 -r 1 --mode knn,retrieval --index 'flat;qivf:probes=32')
measure "${check[@]}" -o "$out/real.jsonl"
measure "${check[@]}" --synthetic -o "$out/synthetic.jsonl"
long=(-k 100 --synthetic --cold --queries 4 -r 9 --mode 'full,streaming,knn,retrieval' --index 'flat:bits=8;qivf' -o "$out/attention.jsonl")
measure "${long[@]}" -c '131072-1048576*2' --layers 5,12,18
measure "${long[@]}" -c 2097152 --layers 12
share=(--synthetic --cold --queries 4 -r 9 --mode full,retrieval -o "$out/share.jsonl")
measure "${share[@]}" -c '131072-1048576*2' --layers 5,12,18
"$bin/bench/ra-bench" attention -d "$dump" -k 100 --synthetic --cold --queries 4 -r 3 -c 262144,1048576 --layers 5,12,18 --mode knn,retrieval \
  --index 'flat:bits=8;qivf;qivf:probes=181;qivf:probes=256;qivf:probes=362' -o "$out/probes.jsonl"
/usr/bin/python3 "$here/table.py" "$out/real.jsonl" "$out/synthetic.jsonl" "$out/attention.jsonl" > "$out/tables.md"
/usr/bin/python3 plots/cost_by_context.py "$out/cost" "$out/attention.jsonl"
