// SPDX-License-Identifier: Apache-2.0
// The attention policy of a mode over one context, indexes built.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "apps/bench/model_context.h"
#include "lib/attention/sparse.h"
#include "lib/core/json.h"

namespace ra::bench_app {

struct ModePolicy {
  ModeRun run;
  std::unique_ptr<model::AttentionPolicy> policy;
  attention::SparseAttention* sparse = nullptr;  // the same object, if the mode has a static set
};

// In the order of `runs`, with a progress line for each mode that has indexes.
std::vector<ModePolicy> build_policies(const std::vector<ModeRun>& runs,
                                       const ModelContext& context, std::uint64_t seed);

// The configuration of a record: what every run on a model has, with `own` fields of the
// subcommand after the mode.
Json model_config(const ModelOptions& o, const SparseModeOptions& sparse,
                  const ModelContext& context, const ModeRun& run, std::uint64_t seed,
                  const Json& own);

// Share of the indexed keys that a query head's inner products touched.
double scanned_frac(const ModeRun& run, const model::AttendStats& stats);

}  // namespace ra::bench_app
