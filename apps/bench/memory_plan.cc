// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "apps/bench/model_context.h"
#include "lib/attention/index_plan.h"
#include "lib/bench/roofline.h"
#include "lib/model/cost.h"

namespace ra::bench_app {

std::vector<MemoryNeed> index_memory(const std::vector<ModeRun>& runs,
                                     const attention::AttentionShape& shape, std::int64_t positions,
                                     model::KvType type, int sequences, std::int64_t harvested) {
  std::vector<MemoryNeed> needs;
  std::uint64_t building = 0;
  for (const ModeRun& run : runs) {
    if (!run.sparse.index) continue;
    const attention::IndexPlan plan = attention::plan_indexes(
        shape, run.sparse, positions - run.sparse.sink - run.sparse.window, type, harvested);
    needs.push_back({"the index of " + std::string(run.mode->name),
                     plan.bytes * static_cast<std::uint64_t>(sequences)});
    if (plan.lists > 0)
      needs.push_back({"the training queries' best keys of " + std::string(run.mode->name),
                       std::uint64_t{plan.lists}});
    building = std::max(building, std::uint64_t{plan.building});
  }
  if (building > 0) needs.push_back({"the largest build", building});
  return needs;
}

MemoryPlan::MemoryPlan(const ModelOptions& o, const SparseModeOptions& sparse, const ModelInput& in,
                       std::uint64_t limit, int sequences, std::vector<MemoryNeed> own)
    : o_(o), sparse_(sparse), in_(in), limit_(limit), sequences_(sequences), own_(std::move(own)) {}

std::vector<MemoryNeed> MemoryPlan::needs(const std::vector<ModeRun>& runs,
                                          std::int64_t context) const {
  const model::Config& c = in_.model.config;
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  // Of each segment's positions, where an index is learnt by them.
  std::uint64_t moments = 0;
  for (const ModeRun& run : runs)
    if (run.sparse.index && run.sparse.index->needs_queries && run.sparse.index->segment > 0)
      moments =
          std::max(moments, (u64(context) / run.sparse.index->segment + 1) * u64(c.n_layers) *
                                u64(c.n_heads) * u64(c.head_dim) * u64(c.head_dim) * sizeof(float));
  std::error_code missing;  // said when it is opened
  const std::uint64_t snapshot =
      o_.kv_in.empty() ? 0 : std::filesystem::file_size(o_.kv_in, missing);
  constexpr std::uint64_t kProgram = 64 << 20;
  const std::uint64_t weights = model::weight_bytes(in_.model.weights);
  std::vector<MemoryNeed> needs{
      {"the program", kProgram},
      {"weights", weights},
      {"KV cache", u64(sequences_) * model::KvCache::bytes(cache_shape(o_, in_, context))},
      {"the snapshot", missing ? 0 : snapshot},
      {"training queries",
       u64(sparse_.train) * u64(c.n_layers) * u64(c.n_heads) * u64(c.head_dim) * sizeof(bf16)},
      {"second moments of queries", moments},
      {"activations", u64(2048) * u64(4 * c.dim + 2 * c.ffn_dim) * sizeof(float)}};
  for (const auto& more :
       {index_memory(runs, attention::shape_of(c), context, kv_type(o_), sequences_,
                     o_.kv_in.empty() ? std::min(sparse_.train, context) : 0),
        own_})
    needs.insert(needs.end(), more.begin(), more.end());
  // Before all that only the weights (their content is checked) and a buffer to measure with.
  const std::uint64_t at_start = weights + bench::kBandwidthBuffer + kProgram;
  if (const std::uint64_t later = total_bytes(needs); later < at_start)
    needs.push_back({"the bandwidth measurement", at_start - later});
  return needs;
}

void MemoryPlan::check(const std::vector<ModeRun>& runs, std::int64_t context) const {
  if (fitting(runs, context).runs.empty()) check_memory(needs({runs.front()}, context), limit_);
}

FittingModes MemoryPlan::fitting(const std::vector<ModeRun>& runs, std::int64_t context) const {
  FittingModes out;
  for (const ModeRun& run : runs) {
    out.runs.push_back(run);
    const std::uint64_t required = total_bytes(needs(out.runs, context));
    if (required <= limit_) continue;
    out.runs.pop_back();
    out.refused.push_back({run, fmt::format("{:.2f} GB required{}, {:.2f} GB available",
                                            static_cast<double>(required) / 1e9,
                                            out.runs.empty() ? "" : " with the modes before it",
                                            static_cast<double>(limit_) / 1e9)});
  }
  return out;
}

bench::Result skipped_result(std::string kind, Json config, const RefusedMode& refused) {
  bench::Result r;
  r.kind = std::move(kind);
  r.status = "skipped";
  r.status_detail = refused.why;
  r.config = std::move(config);
  return r;
}

}  // namespace ra::bench_app
