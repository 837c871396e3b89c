#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs, builds and runs everything; closes with "N passed, M failed, K skipped", every skip
# explained above it. Exit 0 only if nothing failed.
#
#   tests/run.sh            all of it (about 25 minutes on 2 cores with nothing cached)
#   tests/run.sh --quick    release build only, no sanitizers
#   --clean-root            the packages on a bare Debian 12 too (install/clean_root.sh: root, debootstrap, a mirror)
set -euo pipefail
cd "$(dirname "$0")/.."
source experiments/setup.sh
quick=0 clean_root=0
for option in "$@"; do
  case $option in
    --quick) quick=1 ;;
    --clean-root) clean_root=1 ;;
    *) echo "run.sh: error: usage: -: $option: unknown (--quick, --clean-root)" >&2 && exit 2 ;;
  esac
done

step() { printf '\n== %s (%s)\n' "$1" "$(date +%H:%M:%S)"; }
results=build/test-results
rm -rf "$results"
mkdir -p "$results"
failed_steps=()
# Runs a command whose own result file says what failed; a crash of the runner itself counts too.
run() { "$@" || failed_steps+=("$*"); }

step "packages"
ra_setup

jobs=$(nproc)
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
fi
step "build: release"
cmake --preset release -DRA_WERROR=ON -DPython3_EXECUTABLE="$ra_python" >"$results/configure-release.log" ||
  { cat "$results/configure-release.log"; exit 1; }
ra_build --preset release

step "real model: SmolLM2 (tests that need it are skipped without)"
datasets/fetch smollm2 || echo "not available: its tests will be skipped"

step "unit tests: release, fastest level of this CPU"
run ctest --test-dir build/release -j"$jobs" --output-on-failure --quiet \
  --output-junit "$PWD/$results/release.xml"

for level in scalar avx2 avx512; do
  if RA_CPU_LEVEL=$level build/release/apps/bench/ra-bench --build-info >/dev/null 2>&1; then
    step "unit tests: level $level forced"
    RA_CPU_LEVEL=$level run ctest --test-dir build/release -j"$jobs" --output-on-failure --quiet \
      -R '^(model|index|attention)\.' --output-junit "$PWD/$results/level-$level.xml"
  else
    echo "level $level: not on this CPU"
  fi
done

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [[ -n "$nvcc" ]]; then
  step "CUDA: the device's code built for one architecture; its tests, where there is a device"
  cmake --preset cuda -DRA_WERROR=ON -DCMAKE_CUDA_ARCHITECTURES=90 \
    -DCUDAToolkit_ROOT="$(dirname "$(dirname "$nvcc")")" -DPython3_EXECUTABLE="$ra_python" \
    >"$results/configure-cuda.log" || { cat "$results/configure-cuda.log"; exit 1; }
  ra_build --preset cuda --target cuda_test cuda_model_test cuda_attention_test cuda_bench
  run ctest --test-dir build/cuda -L gpu --output-on-failure --quiet --output-junit "$PWD/$results/cuda.xml"
else
  echo "CUDA: no nvcc here; the device's code is tested on its emulation only"
fi

step "counters of every level against the accepted ones"
run experiments/regression/counters.sh build/release

step "house rules, programs, data scripts"
RA_BUILD="$PWD/build/release" run "$ra_python" -m pytest -q -rs -p no:cacheprovider tests \
  --junitxml="$results/python.xml" -o junit_suite_name=python

if ((clean_root)); then
  step "packages on a bare Debian 12"
  run tests/install/clean_root.sh build/release
fi

if ((!quick)); then
  step "build: debug with address and undefined sanitizers"
  cmake --preset dev -DPython3_EXECUTABLE="$ra_python" >"$results/configure-dev.log" || { cat "$results/configure-dev.log"; exit 1; }
  ra_build --preset dev
  step "unit tests: sanitizers"
  ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 \
    run ctest --test-dir build/dev -j"$jobs" --output-on-failure --quiet -LE real \
    --output-junit "$PWD/$results/dev.xml"
  step "programs on bad input: sanitizers"
  # Without the real model, as above: with sanitizers it takes minutes.
  XDG_CACHE_HOME="$PWD/build/no-models" LSAN_OPTIONS="suppressions=$PWD/tests/leaks.txt:print_suppressions=0" \
    RA_BUILD="$PWD/build/dev" run "$ra_python" -m pytest -q -rs -p no:cacheprovider tests/apps \
    --junitxml="$results/python-dev.xml" -o junit_suite_name=python-dev
fi

step "summary"
for s in "${failed_steps[@]}"; do echo "failed step: $s"; done
"$ra_python" tests/summary.py "$results"/*.xml
((${#failed_steps[@]} == 0))
