#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Is the new build worse than the base build? First what is deterministic, then times, in turns.
#
#   run.sh BASE_BUILD NEW_BUILD [-o FOLDER] [--history FILE.jsonl]
#
# Exit 0 no regression, 1 regression, 3 inconclusive. FOLDER (default out/regression) gets report.md for people and pull
# requests, counters-LEVEL.json and times.json for machines, and the records. About 6 minutes on 2 cores;
# RA_REGRESSION_BUDGET: seconds after which no pair is added (240). --history appends a line for the new build.
set -euo pipefail
usage="usage: run.sh BASE_BUILD NEW_BUILD [-o FOLDER] [--history FILE.jsonl]"
base=$(realpath "${1:?$usage}") new=$(realpath "${2:?$usage}")
shift 2
here=$(realpath "$(dirname "$0")")
out=$here/../../out/regression history=
while (($#)); do
  case $1 in
    -o) out=${2:?$usage} ;;
    --history) history=$(realpath "${2:?$usage}") ;;
    *) echo "run.sh: error: usage: -: $1: unknown ($usage)" >&2 && exit 2 ;;
  esac
  shift 2
done
source "$here/../setup.sh"
mkdir -p "$out"
out=$(realpath "$out")
rm -rf "$out"/{base,new,times} "$out"/*.json "$out/report.md"
bench=$new/apps/bench/ra-bench

verdict=0
worse() { # STATUS: a regression outweighs what is inconclusive
  case $1 in
    0) ;;
    1) verdict=1 ;;
    3) ((verdict == 1)) || verdict=3 ;;
    *) exit "$1" ;;
  esac
}

"$here/counters.sh" "$base" -o "$out/base"
"$here/counters.sh" "$new" -o "$out/new"
for records in "$out"/base/*.jsonl; do
  level=$(basename "$records" .jsonl) status=0
  { echo "### Deterministic numbers, level $level" && echo; } >>"$out/report.md"
  "$bench" compare "$records" "$out/new/$level.jsonl" --counters >>"$out/report.md" || status=$?
  "$bench" compare "$records" "$out/new/$level.jsonl" --counters --format json >"$out/counters-$level.json" || true
  echo >>"$out/report.md"
  worse $status
done
{ echo "### Times, in turns" && echo; } >>"$out/report.md"
status=0
"$ra_python" "$here/pairs.py" "$base" "$new" -o "$out/times" --budget "${RA_REGRESSION_BUDGET:-240}" \
  >>"$out/report.md" || status=$?
worse $status
cp "$out/times/report.json" "$out/times.json"
cat "$out/report.md"

if [[ -n $history ]]; then
  commit_of() { "$1/apps/bench/ra-bench" --build-info | "$ra_python" -c 'import json, sys; print(json.load(sys.stdin)["git_commit"])'; }
  "$bench" --build-info >"$out/build-info.json"
  "$ra_python" "$here/history.py" append "$history" --counters "$out/new" --times "$out/times.json" \
    --commit "$(commit_of "$new")" --base-commit "$(commit_of "$base")" --build-info "$out/build-info.json"
fi
exit $verdict
