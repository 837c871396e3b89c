// SPDX-License-Identifier: Apache-2.0
// What must be resident at the longest context, before any of it is allocated.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/bench/model_input.h"
#include "lib/core/memory.h"

namespace ra::bench_app {

// What the indexes of these modes take at most for `positions` of each of `kv_heads` heads, all
// layers together.
std::uint64_t index_memory(const std::vector<ModeRun>& runs, std::int64_t positions,
                           std::int64_t kv_heads, std::int64_t head_dim, std::int64_t group);

// `own`: what the subcommand keeps beside model, cache, snapshot and indexes. Throws
// Error{kNoMemory} if it does not fit, or if measuring the bandwidth before it does not.
void check_memory_plan(const ModelOptions& o, const SparseModeOptions& sparse,
                       const cli::CommonOptions& common, const ModelInput& in,
                       const std::vector<ModeRun>& runs, std::int64_t context,
                       const std::vector<MemoryNeed>& own);

}  // namespace ra::bench_app
