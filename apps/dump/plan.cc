// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "kernels/level.h"
#include "lib/core/params.h"
#include "lib/model/kv_snapshot.h"

namespace ra::dump_app {
namespace {

std::uint64_t u64(std::int64_t n) { return static_cast<std::uint64_t>(n); }

std::uint64_t weight_bytes(const gguf::File& file) {
  std::uint64_t sum = 0;
  for (const gguf::Tensor& t : file.tensors()) sum += t.bytes;
  return sum;
}

// Rows of one prefill pass: the residual stream, its norm, q, k, v, attention and the FFN's two.
std::uint64_t activation_bytes(const model::Config& c, std::size_t rows, bool logits) {
  const auto width =
      2 * c.dim + (c.n_heads + c.n_kv_heads) * (c.head_dim + c.value_dim) + 2 * c.ffn_dim;
  constexpr std::uint64_t kLogitRows = 64;
  // Twice: kernels keep packed copies of their inputs.
  return 2 * (rows + 1) * u64(width) * sizeof(float) +
         (logits ? kLogitRows : 1) * u64(c.vocab_size) * sizeof(float);
}

// Everything that decides the vectors and is not in DumpInfo.
std::string run_key(const DumpOptions& o, const Plan& plan) {
  return fmt::format("compute={} kv={} temp={} level={} chunk={}", o.compute, o.kv_dtype,
                     o.temperature, kernels::level_name(kernels::active_level()),
                     plan.decoder.chunk);
}

}  // namespace

model::Compute compute_of(const DumpOptions& o) {
  return o.compute == "f32" ? model::Compute::kF32 : model::Compute::kAuto;
}

Plan make_plan(const DumpOptions& o, const cli::CommonOptions& common, const Request& r) {
  const model::Config& c = r.model.config;
  Plan plan;
  plan.cache = {.layers = c.n_layers,
                .kv_heads = c.n_kv_heads,
                .head_dim = c.head_dim,
                .value_dim = c.value_dim,
                .capacity = r.info.n_tokens,
                .type = model::parse_kv_type(o.kv_dtype).value()};
  plan.writer = {.out = o.out,
                 .force = o.force,
                 .resume = o.resume,
                 .allow_saturate = o.allow_saturate,
                 .gzip = gzip_level(o.compress),
                 .part_bytes = parse_bytes(o.part_size, "--part-size"),
                 .single_limit = parse_bytes(o.single_limit, "--single-limit"),
                 .append_rows = static_cast<std::int64_t>(plan.decoder.chunk),
                 .run_key = run_key(o, plan)};
  plan.writer.state_bytes = model::KvCache::bytes(plan.cache);
  std::uint64_t sample_bytes = 0;
  if (!o.kv_out.empty()) {
    const std::int64_t positions = std::min(r.info.n_prefill, kTrainPositions);
    sample_bytes = u64(c.n_layers) * u64(c.n_heads) * u64(positions) * u64(c.head_dim) * 2;
    plan.writer.state_bytes += sample_bytes;
    plan.snapshot_bytes =
        model::kv_snapshot_bytes(plan.cache, r.info.n_prefill, c.n_heads, positions);
  }
  constexpr std::uint64_t kProgram = 64 << 20, kSmallestPart = 16 << 20;
  const auto rows = static_cast<std::size_t>(
      std::min<std::int64_t>(r.info.n_prefill, static_cast<std::int64_t>(plan.decoder.chunk)));
  const std::uint64_t limit = memory_limit(common.memory_limit);
  for (;; plan.writer.part_bytes /= 2) {
    plan.needs = {{"weights", weight_bytes(*r.file)},
                  {"KV cache", model::KvCache::bytes(plan.cache)},
                  {"activations", activation_bytes(c, rows, o.logits)},
                  {"training queries", sample_bytes},
                  {"the open part of the dump", store::writer_memory(r.info, plan.writer)},
                  {"the program", kProgram}};
    if (total_bytes(plan.needs) <= limit || plan.writer.part_bytes <= kSmallestPart) return plan;
  }
}

}  // namespace ra::dump_app
