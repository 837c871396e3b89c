// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <string>

#include "kernels/level.h"
#include "lib/core/json.h"
#include "lib/core/params.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"
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
                .type = o.kv_dtype == "f32" ? model::KvType::kF32 : model::KvType::kBf16};
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

void print_estimate(const DumpOptions& o, const cli::CommonOptions& common, const Request& r,
                    const Plan& plan) {
  const model::Config& c = r.model.config;
  const std::uint64_t memory = total_bytes(plan.needs);
  Json seconds = nullptr;
  if (memory <= memory_limit(common.memory_limit)) {
    // A short pass gives the time per token; attention adds to it in proportion to its arithmetic.
    model::KvCache::Shape shape = plan.cache;
    const std::size_t sample = std::min<std::size_t>(r.prompt.size(), 64);
    shape.capacity = static_cast<std::int64_t>(sample) + 1;
    model::KvCache cache(shape);
    model::CpuBackend backend(compute_of(o));
    model::ExactAttention attention(compute_of(o));
    model::Decoder decoder(r.model, backend, cache, attention, plan.decoder);
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point start) {
      return std::chrono::duration<double>(Clock::now() - start).count();
    };
    auto start = Clock::now();
    decoder.prefill(std::span(r.prompt).first(sample));
    const double prefill = since(start) / static_cast<double>(sample);
    start = Clock::now();
    decoder.step(r.prompt.front());
    const double decode = since(start);
    const double per_key = 4.0 * c.n_layers * c.n_heads * c.head_dim;
    const double weights = 2.0 * c.n_layers *
                           (double{1} * c.dim * (c.n_heads + 2 * c.n_kv_heads) * c.head_dim +
                            double{1} * c.dim * c.n_heads * c.value_dim + 3.0 * c.dim * c.ffn_dim);
    const auto n = static_cast<double>(r.info.n_prefill);
    const auto generated = static_cast<double>(r.info.n_tokens - r.info.n_prefill);
    seconds = prefill * n * (1 + per_key * n / 2 / weights) +
              decode * generated * (1 + per_key * n / weights);
  }
  const Json line{{"tokens", r.info.n_tokens},
                  {"prompt_tokens", r.info.n_prefill},
                  {"layers", r.info.layers.size()},
                  {"output_bytes", store::dump_bytes(r.info)},
                  {"kv_out_bytes", plan.snapshot_bytes},
                  {"peak_memory_bytes", memory},
                  {"seconds", seconds}};
  fmt::print("{}\n", line.dump());
}

}  // namespace ra::dump_app
