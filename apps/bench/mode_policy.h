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
  attention::SparseAttention* sparse = nullptr;  // in it, if the mode has a static set
  std::uint64_t build_peak_rss = 0;              // of the process, when the indexes were built
};

// The policies of a context, in the order of `runs`. Indexes that are learnt in pieces are built
// while the prefill goes on, on its own threads between two chunks: its matrix products keep every
// core busy, and a thread beside them would only take from them what it uses.
class ModePolicies {
 public:
  ModePolicies(const std::vector<ModeRun>& runs, const ModelContext& context, std::uint64_t seed);

  void build_complete();  // after a chunk
  // After the prefill; with a progress line for each mode that has indexes.
  std::vector<ModePolicy> build();

 private:
  const ModelContext& context_;
  std::uint64_t seed_;
  std::vector<ModePolicy> policies_;
};

// A policy of the same mode for another sequence, whose `cache` holds the same prompt.
ModePolicy policy_beside(const ModePolicy& mode, const ModelContext& context,
                         const model::KvCache& cache, std::uint64_t seed);

// The fields of a record about the indexes of a mode: build_*, index_*.
void add_build_metrics(const ModePolicy& mode, const ModelContext& context, Json& metrics);

// The configuration of a record: what every run on a model has, with `own` fields of the
// subcommand after the mode. `context` is null for a mode that does not fit.
Json model_config(const ModelOptions& o, const SparseModeOptions& sparse, const ModelInput& in,
                  const ModelContext* context, const ModeRun& run, std::uint64_t seed,
                  const Json& own);

// Adds what makes the keys that a head attends to other than its k, where anything does.
void add_limits(const ModeRun& run, Json& config);

// Keys attended beside the static set, mean over query heads and layers, of `steps` tokens.
double attended_mean(const ModelContext& context, const model::AttendStats& stats, double steps);

// Adds what the threads spent on searches, and those by cells on each of their parts, per one of
// `n`.
void add_search_times(const model::AttendStats& stats, double n, Json& metrics);

// Share of the indexed keys that a query head's inner products touched.
double scanned_frac(const ModeRun& run, const model::AttendStats& stats);

}  // namespace ra::bench_app
