#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Recall and attention mass of lists that take in decoded keys: the last 2,560 of 32,768 tokens of Qwen2.5-Coder-0.5B are
# decoded again from a dump, in six layers. About 3 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
here=experiments/05-growth
out=${1:-$here/results}
dump=${RA_DUMP:-out/04-recall-all-heads/qwen-32k.h5}
mkdir -p "$out" "$(dirname "$dump")"
[[ -e $dump ]] || "$bin/dump/ra-dump" -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -n 32768 -o "$dump"
rm -f "$out/growth.jsonl"
"$bin/recall/ra-recall" growth -d "$dump" --layers 2,7,12,16,20,22 --decoded 2560 --flush 1024 --every 32 -k 100 --index 'qivf:probes=0' \
  -o "$out/growth.jsonl" | tee "$out/tables.md"
/usr/bin/python3 plots/growth.py "$out/growth" "$out/growth.jsonl"
