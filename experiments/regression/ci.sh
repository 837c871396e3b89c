#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The regression check as one command, for any CI: builds the merge base and the working tree with the same compiler on
# the same machine and runs run.sh on both.
#
#   ci.sh [BASE_REF] [run.sh's options]    BASE_REF defaults to origin/main
#
# Exit status of run.sh: 0 no regression, 1 regression, 3 inconclusive. A CI that cannot show three colours should fail
# on 1 and warn on 3; never take 3 for a pass.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
cd "$here/../.."
ref=${1:-origin/main}
shift || true
source experiments/setup.sh
ra_setup
commit=$(git merge-base "$ref" HEAD)
tree=build/regression-base
if [[ ! -d $tree || $(git -C "$tree" rev-parse HEAD) != "$commit" ]]; then
  git worktree remove --force "$tree" 2>/dev/null || true
  git worktree add --detach "$tree" "$commit"
fi
for source in "$tree" .; do
  cmake -S "$source" -B "$source/build/regression" -G Ninja -DCMAKE_BUILD_TYPE=Release -DRA_TESTS=OFF \
    -DPython3_EXECUTABLE="$ra_python"
  cmake --build "$source/build/regression" --target ra-bench ra-recall ra-dump paired_bench
done
"$here/run.sh" "$tree/build/regression" build/regression "$@"
