#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the build, the tests and the plots need on Debian 12, if anything is missing. Sourced
# by quickstart.sh and tests/run.sh; may also be run by itself.
set -euo pipefail

# OpenBLAS in its OpenMP build: FAISS then runs on the same thread pool as everything else. Where the
# pthread build is the system's choice, the programs hold it to one thread.
ra_packages=(
  g++ cmake ninja-build pkg-config git ca-certificates
  libcli11-dev libfmt-dev libhdf5-dev libeigen3-dev libfaiss-dev libhnswlib-dev libopenblas-openmp-dev
  libutf8proc-dev nlohmann-json3-dev libxxhash-dev libssl-dev libbenchmark-dev libgtest-dev libboost-context-dev
  python3 python3-numpy python3-h5py python3-matplotlib python3-pytest python3-pip
)

ra_setup() {
  local missing=() package
  for package in "${ra_packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    return 0
  fi
  echo "setup: installing ${missing[*]}"
  local sudo=()
  if (($(id -u) != 0)); then
    command -v sudo >/dev/null || {
      echo "setup: error: need root or sudo to install: ${missing[*]}" >&2
      return 77
    }
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
}

# cmake --build: in a terminal with ninja's line of progress, else only what fails.
ra_build() { # OPTIONS...
  local quiet=--quiet
  [[ ! -t 1 ]] || quiet=
  cmake --build "$@" -- -j"$(nproc)" $quiet
}

# Debian's own interpreter: the one that has the packages above.
ra_python=/usr/bin/python3
export ra_python

if [[ "${BASH_SOURCE[0]}" == "$0" ]]; then
  ra_setup
fi
