#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Losses of every mode over 1,024 teacher-forced tokens after 31,744 tokens of the handbook, Qwen2.5-Coder-0.5B. About 10 minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-experiments/09-quality/results}
mkdir -p "$out"
rm -f "$out"/{quality,share}.jsonl
quality=("${RA_BIN:-build/release/apps}/bench/ra-bench" quality -m "$(datasets/fetch qwen)" -f "$(datasets/fetch handbook)" -c 31744 --needle 0 --n-score 1024)
"${quality[@]}" -k 100 --mode full,streaming,knn,retrieval,tail,pages --index 'flat:bits=8' -o "$out/quality.jsonl"
"${quality[@]}" --mode full,retrieval -o "$out/share.jsonl"
