// SPDX-License-Identifier: Apache-2.0
// What must be resident at a context, before any of it is allocated, and which modes fit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/bench/model_input.h"
#include "lib/bench/results.h"
#include "lib/core/memory.h"

namespace ra::bench_app {

// What the indexes of these modes take together over `positions` of a cache of that type, for each
// of some sequences, and the largest of their builds; where queries of so many positions are
// harvested while the prefill goes on, their lists too.
std::vector<MemoryNeed> index_memory(const std::vector<ModeRun>& runs,
                                     const attention::AttentionShape& shape, std::int64_t positions,
                                     model::KvType type, int sequences = 1,
                                     std::int64_t harvested = 0);

struct RefusedMode {
  ModeRun run;
  std::string why;  // bytes required and available
};
struct FittingModes {
  std::vector<ModeRun> runs;
  std::vector<RefusedMode> refused;
};

class MemoryPlan {
 public:
  // `own`: what the subcommand keeps beside model, snapshot and the caches and indexes of that many
  // sequences. Everything given must outlive it.
  MemoryPlan(const ModelOptions& o, const SparseModeOptions& sparse, const ModelInput& in,
             std::uint64_t limit, int sequences, std::vector<MemoryNeed> own);

  // Throws Error{kNoMemory} if none of `runs` fits, or if measuring the bandwidth before does not.
  void check(const std::vector<ModeRun>& runs, std::int64_t context) const;
  // In order, each mode beside the fitting ones before it.
  FittingModes fitting(const std::vector<ModeRun>& runs, std::int64_t context) const;

 private:
  std::vector<MemoryNeed> needs(const std::vector<ModeRun>& runs, std::int64_t context) const;

  const ModelOptions& o_;
  const SparseModeOptions& sparse_;
  const ModelInput& in_;
  std::uint64_t limit_;
  int sequences_;
  std::vector<MemoryNeed> own_;
};

// The record of a mode that does not fit.
bench::Result skipped_result(std::string kind, Json config, const RefusedMode& refused);

}  // namespace ra::bench_app
