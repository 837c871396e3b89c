#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Full-attention prefill and decode of Qwen2.5-Coder-0.5B at 4,096 tokens beside llama.cpp: the same
# GGUF, tokens and threads, the two in turn. PEER_PYTHON is an interpreter that has llama-cpp-python.
#
# With g++ 12 on a CPU with AMX, llama.cpp's build dies with SIGILL (the compiler drops the tile
# configuration); build the peer with clang:
#   CC=clang CXX=clang++ pip install --no-binary :all: llama-cpp-python
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
python=${PEER_PYTHON:-python3}
here=experiments/02-decode-peers
out=${1:-$here/results}
rounds=${ROUNDS:-3}
threads=${THREADS:-$(nproc)}
mkdir -p "$out" out/02-decode-peers
model=$(datasets/fetch qwen)
text=$(datasets/fetch handbook)
ids=out/02-decode-peers/ids.txt
# The same token ids for both programs: those a small dump keeps.
[[ -e out/02-decode-peers/ids.h5 ]] ||
  "$bin/dump/ra-dump" -q -m "$model" -f "$text" -n 4096 --layers 0 --queries last:1 -o out/02-decode-peers/ids.h5
/usr/bin/python3 -c "
import h5py
with h5py.File('out/02-decode-peers/ids.h5') as f: print(*f['tokens/ids'][:], sep='\n')" >"$ids"
rm -f "$out/decode.jsonl"
for ((round = 1; round <= rounds; ++round)); do
  for flash in 0 1; do
    "$python" $here/llama_cpp_decode.py "$model" "$ids" 4096 32 "$threads" $flash "$out/decode.jsonl"
  done
  "$bin/bench/ra-bench" decode -m "$model" --tokens-file "$ids" -c 4096 -n 32 -r 1 -t "$threads" --mode full \
    --pair $round -o "$out/decode.jsonl"
done
/usr/bin/python3 $here/table.py "$out/decode.jsonl" | tee "$out/table.md"
