// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/memory_plan.h"

#include <algorithm>
#include <filesystem>

#include "apps/bench/model_context.h"
#include "lib/bench/roofline.h"
#include "lib/model/cost.h"

namespace ra::bench_app {

std::uint64_t index_memory(const std::vector<ModeRun>& runs, std::int64_t positions,
                           std::int64_t kv_heads, std::int64_t head_dim, std::int64_t group) {
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  // Each index keeps its keys in f32 and, at most, 2 x 35 links of 4 bytes beside them.
  const std::uint64_t indexed = u64(positions) * u64(kv_heads) * (u64(head_dim) * 4 + 280);
  std::uint64_t indexes = 0;
  for (const ModeRun& run : runs)
    if (run.sparse.index) indexes += indexed * (run.sparse.index->share_group ? 1 : u64(group));
  return indexes;
}

void check_memory_plan(const ModelOptions& o, const SparseModeOptions& sparse,
                       const cli::CommonOptions& common, const ModelInput& in,
                       const std::vector<ModeRun>& runs, std::int64_t context,
                       const std::vector<MemoryNeed>& own) {
  const model::Config& c = in.model.config;
  const auto u64 = [](auto n) { return static_cast<std::uint64_t>(n); };
  const std::uint64_t indexes =
      index_memory(runs, context * c.full_layers(), c.n_kv_heads, c.head_dim, c.group());
  // Of each segment's positions, where an index is learnt by them.
  std::uint64_t moments = 0;
  for (const ModeRun& run : runs)
    if (run.sparse.index && run.sparse.index->needs_queries && run.sparse.index->segment > 0)
      moments =
          std::max(moments, (u64(context) / run.sparse.index->segment + 1) * u64(c.n_layers) *
                                u64(c.n_heads) * u64(c.head_dim) * u64(c.head_dim) * sizeof(float));
  std::error_code missing;  // said when it is opened
  const std::uint64_t snapshot = o.kv_in.empty() ? 0 : std::filesystem::file_size(o.kv_in, missing);
  constexpr std::uint64_t kProgram = 64 << 20;
  std::vector<MemoryNeed> needs{
      {"the program", kProgram},
      {"weights", model::weight_bytes(in.model.weights)},
      {"KV cache", model::KvCache::bytes(cache_shape(o, in, context))},
      {"the snapshot", missing ? 0 : snapshot},
      {"indexes", indexes},
      {"training queries",
       u64(sparse.train) * u64(c.n_layers) * u64(c.n_heads) * u64(c.head_dim) * sizeof(bf16)},
      {"second moments of queries", moments},
      {"activations", u64(2048) * u64(4 * c.dim + 2 * c.ffn_dim) * sizeof(float)}};
  needs.insert(needs.end(), own.begin(), own.end());
  // Before all that only the weights (their content is checked) and a buffer to measure with.
  const std::uint64_t at_start =
      model::weight_bytes(in.model.weights) + bench::kBandwidthBuffer + kProgram;
  if (const std::uint64_t later = total_bytes(needs); later < at_start)
    needs.push_back({"the bandwidth measurement", at_start - later});
  check_memory(needs, memory_limit(common.memory_limit));
}

}  // namespace ra::bench_app
