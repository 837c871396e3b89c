// SPDX-License-Identifier: Apache-2.0
// One context of a model: its cache, filled by a prefill or from a snapshot, and the decoder that
// goes on from it as often as one likes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/bench/model_input.h"
#include "apps/bench/prefill_run.h"
#include "lib/attention/compute_device.h"
#include "lib/attention/layer_indexes.h"
#include "lib/attention/query_moments.h"
#include "lib/attention/train_queries.h"
#include "lib/core/output_file.h"
#include "lib/model/kv_snapshot.h"

namespace ra::bench_app {

model::KvCache::Shape cache_shape(const ModelOptions& o, const ModelInput& in,
                                  std::int64_t capacity);

// Opens --kv-in and checks that it holds the whole of `prompt`, the longest of the run. Null
// without --kv-in.
std::unique_ptr<model::KvSnapshot> open_snapshot(const ModelOptions& o, const ModelInput& in,
                                                 std::span<const std::int32_t> ids,
                                                 std::int64_t prompt);
// Before hours of prefill: can --kv-out of `prompt` tokens be written? Null without it.
std::unique_ptr<OutputLock> claim_snapshot(const ModelOptions& o, const SparseModeOptions& sparse,
                                           const ModelInput& in, std::int64_t prompt);

class ModelContext {
 public:
  // Everything given must outlive it. `sequences` of the same prompt will decode together.
  ModelContext(const ModelOptions& o, const SparseModeOptions& sparse, const ModelInput& in,
               std::span<const std::int32_t> prompt, std::int64_t capacity, int sequences = 1);

  // Keeps of the queries what the indexes of `runs` learn from: second moments, or a sample; writes
  // a snapshot, with a sample, if `kv_out` is not empty. `between_chunks` is called after each
  // chunk.
  void prefill(const std::vector<ModeRun>& runs, const std::string& kv_out,
               const std::function<void()>& between_chunks);
  // Instead of a prefill.
  void restore(const std::vector<ModeRun>& runs, const model::KvSnapshot& snapshot);
  // Back to the end of the prompt.
  void rewind() { cache_.truncate(prompt_size()); }

  const ModelInput& input() const { return in_; }
  std::int64_t prompt_size() const { return std::ssize(prompt_); }
  model::KvCache& cache() { return cache_; }
  const model::KvCache& cache() const { return cache_; }
  model::Decoder& decoder() { return decoder_; }
  model::AttentionPolicy& exact() { return *exact_; }
  attention::ComputeDevice& device() const { return *device_; }
  model::Compute compute() const;
  // What the indexes of a run learn from; null if they need nothing.
  attention::TrainingOf training(const ModeRun& run) const;
  // The training queries of a prefill that still goes on, as far as it came.
  attention::QueriesOf queries_so_far() const;
  // What a measured budget is measured by; of the sample that a run with one has kept.
  std::function<attention::PlacedQueries(int layer, int head)> budget_queries() const;
  // Nothing if a snapshot took its place.
  const std::optional<PrefillRun>& prefill_run() const { return prefill_; }
  // The record's `train`: positions whose second moments were summed, or --train, or how many there
  // are if a snapshot of another prompt gave others than a prefill would have.
  std::int64_t train(const ModeRun& run) const;

 private:
  const ModelOptions& o_;
  const SparseModeOptions& sparse_;
  const ModelInput& in_;
  std::span<const std::int32_t> prompt_;
  model::KvCache cache_;
  std::unique_ptr<attention::ComputeDevice> device_;
  std::unique_ptr<model::AttentionPolicy> exact_;
  model::Decoder decoder_;
  std::unique_ptr<attention::TrainQueries> queries_;
  std::unique_ptr<attention::QueryMoments> moments_;
  std::optional<PrefillRun> prefill_;
};

}  // namespace ra::bench_app
