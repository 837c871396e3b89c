#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a newcomer runs first, inside the root that clean_root.sh made: first_run.sh FOLDER_OF_THE_PROGRAMS
set -eu
PATH=$1:/usr/bin:/bin
rm -rf /tmp/first-run
mkdir /tmp/first-run
cd /tmp/first-run
for program in ra-dump ra-recall ra-bench; do
  [ "$(command -v $program)" = "$1/$program" ]
  $program --version
  $program --build-info >"$program.json"
  $program --help >"$program.help"
  [ -s "$1/../share/man/man1/$program.1" ]
done
grep -o '"blas":"[^"]*"' ra-recall.json
# Dump, then each program on it; -q leaves errors only.
ra-dump -m /srv/given/model.gguf -f /srv/given/text.txt -n 2048 --generate 8 -q -o dump.h5
ra-recall ood -d dump.h5 --layers 5 -q -o ood.jsonl >ood.md
ra-recall curve -d dump.h5 --layers 5 -k 20 --sink 16 --window 128 -q -o curve.jsonl \
  --index 'flat;ivf;hnsw:metric=lift;roar:metric=query;qivf' >curve.md
ra-bench attention -d dump.h5 --mode full --mode ivf --mode retrieval -k 20 --sink 16 --window 128 --queries 4 -q -o attention.jsonl >attention.md
ra-bench decode -m /srv/given/model.gguf -f /srv/given/text.txt -c 1024 -n 4 -r 1 -k 20 --sink 16 --window 128 \
  --mode full --mode retrieval -q -o decode.jsonl >decode.md
ra-bench compare curve.jsonl curve.jsonl --counters >compare.md
cat curve.md decode.md
grep -q '^no regression' compare.md
