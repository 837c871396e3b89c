#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prefill and full-attention decode beside llama.cpp: the same GGUF, tokens and threads, the programs
# in turn, at several lengths. About 10 minutes a round on 2 cores.
#   PEER_PYTHON       interpreter that has llama-cpp-python
#   PEER_PYTHON_AVX2  one whose llama.cpp is built for AVX2 only (GGML_NATIVE=OFF): also compares
#                     ra-bench --cpu-level avx2 with it
#
# With g++ 12 on a CPU with AMX, llama.cpp's build dies with SIGILL (the compiler drops the tile
# configuration); build the peer with clang:
#   CC=clang CXX=clang++ pip install --no-binary :all: llama-cpp-python
#   CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON" ... for AVX2
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=${RA_BIN:-build/release/apps}
python=${PEER_PYTHON:-python3}
here=experiments/peers
out=${1:-$here/results}
rounds=${ROUNDS:-2}
threads=${THREADS:-$(nproc)}
work=out/peers
mkdir -p "$out" "$work"
text=$(datasets/fetch handbook)
rm -f "$out/decode.jsonl"

# The same token ids for both programs: those a small dump keeps.
ids() {  # model name, file, tokens
  local dump=$work/$1.h5 ids=$work/$1.ids
  [[ -e $ids ]] || {
    "$bin/dump/ra-dump" -q -m "$2" -f "$text" -n "$3" --layers 0 --queries last:1 -o "$dump"
    /usr/bin/python3 -c "
import h5py, sys
with h5py.File(sys.argv[1]) as f: print(*f['tokens/ids'][:], sep='\n')" "$dump" >"$ids"
  }
  echo "$ids"
}

# One length: llama.cpp with and without flash attention, ra-bench before and after each. At 8,192
# only without: its decode is several times slower with, and each prefill takes minutes.
compare() {  # round, model, ids, context, decoded, interpreter, level
  ours "$@"
  for flash in 0 $([[ $4 -ge 8192 ]] || echo 1); do
    "$6" $here/llama_cpp_decode.py "$2" "$3" "$4" "$5" "$threads" $flash "$7" "$out/decode.jsonl"
    ours "$@"
  done
}
ours() {
  "$bin/bench/ra-bench" decode -m "$2" --tokens-file "$3" -c "$4" -n "$5" -r 1 -t "$threads" --mode full \
    ${7:+--cpu-level "$7"} --pair "$1" -o "$out/decode.jsonl" --format none
}

qwen=$(datasets/fetch qwen) smollm2=$(datasets/fetch smollm2)
qwen_ids=$(ids qwen "$qwen" 8192) smollm2_ids=$(ids smollm2 "$smollm2" 4128)
for ((round = 1; round <= rounds; ++round)); do
  for context in 48 544 4128 8192; do
    compare $round "$qwen" "$qwen_ids" $context 32 "$python" ""
  done
  for context in 48 4128; do
    compare $round "$smollm2" "$smollm2_ids" $context 32 "$python" ""
  done
  if [[ -n ${PEER_PYTHON_AVX2:-} ]]; then
    compare $round "$qwen" "$qwen_ids" 544 32 "$PEER_PYTHON_AVX2" avx2
  fi
done
/usr/bin/python3 $here/table.py "$out/decode.jsonl" | tee "$out/decode.md"
/usr/bin/python3 plots/roofline.py "$out/roofline" "$out/decode.jsonl"
