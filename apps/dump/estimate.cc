// SPDX-License-Identifier: Apache-2.0
#include "apps/dump/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <span>
#include <vector>

#include "lib/core/json.h"
#include "lib/model/cpu_backend.h"
#include "lib/model/exact_attention.h"

namespace ra::dump_app {
namespace {

// The work of a token is a constant and a part that grows with the keys before it, so each pass is
// timed at the beginning and after kKeys keys. The least of three: others may use the machine.
class SpeedSample {
 public:
  SpeedSample(const DumpOptions& o, const Request& r, const Plan& plan)
      : tokens_(std::span(r.prompt).first(std::min<std::size_t>(r.prompt.size(), 128))),
        shape_(sample_shape(plan)),
        cache_(shape_),
        backend_(compute_of(o)),
        attention_(compute_of(o)),
        decoder_(r.model, backend_, cache_, attention_, plan.decoder) {}

  double seconds(std::int64_t prompt, std::int64_t generated) {
    const auto n = static_cast<double>(prompt), g = static_cast<double>(generated);
    const auto rows = static_cast<double>(tokens_.size());
    const double first = prefill(0), later = prefill(kKeys);
    const double per_key = std::max(0.0, later - first) / static_cast<double>(kKeys);
    double sum = (first * n + per_key * n * n / 2) / rows;
    if (generated > 0) sum += g * (step(0) + std::max(0.0, step(kKeys) - step(0)) / kKeys * n);
    return sum;
  }

 private:
  static constexpr std::int64_t kKeys = 4096;

  model::KvCache::Shape sample_shape(const Plan& plan) const {
    model::KvCache::Shape shape = plan.cache;
    shape.capacity = kKeys + std::ssize(tokens_);
    return shape;
  }
  // A cache of n positions: zeros are as much work as any numbers.
  void fill(std::int64_t n) {
    cache_.truncate(0);
    const std::vector<std::byte> zeros(
        static_cast<std::size_t>(shape_.kv_heads) * static_cast<std::size_t>(n) *
        kernels::row_bytes(shape_.type,
                           static_cast<std::size_t>(std::max(shape_.head_dim, shape_.value_dim))));
    const std::vector<float> frame(cache_.frame(0).size());
    for (int layer = 0; layer < shape_.layers; ++layer)
      cache_.append_stored(layer, n, n, zeros.data(), zeros.data(), frame);
  }
  template <class Pass>
  double least(std::int64_t keys, Pass&& pass) {
    using Clock = std::chrono::steady_clock;
    double best = std::numeric_limits<double>::infinity();
    fill(keys);
    for (int i = 0; i < 3; ++i) {
      cache_.truncate(keys);
      const auto start = Clock::now();
      pass();
      best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
  }
  double prefill(std::int64_t keys) {
    return least(keys, [&] { decoder_.prefill(tokens_); });
  }
  double step(std::int64_t keys) {
    return least(keys, [&] { decoder_.step(tokens_.front()); });
  }

  std::span<const std::int32_t> tokens_;
  model::KvCache::Shape shape_;
  model::KvCache cache_;
  model::CpuBackend backend_;
  model::ExactAttention attention_;
  model::Decoder decoder_;
};

}  // namespace

void print_estimate(const DumpOptions& o, const cli::CommonOptions& common, const Request& r,
                    const Plan& plan) {
  const std::uint64_t memory = total_bytes(plan.needs);
  const std::int64_t generated = r.info.n_tokens - r.info.n_prefill;
  Json seconds = nullptr;
  if (memory <= memory_limit(common.memory_limit))
    seconds = SpeedSample(o, r, plan).seconds(r.info.n_prefill, generated);
  store::DumpInfo info = r.info;
  if (o.logits) info.logits_last.resize(static_cast<std::size_t>(r.model.config.vocab_size));
  const Json line{{"tokens", r.info.n_tokens},
                  {"prompt_tokens", r.info.n_prefill},
                  {"layers", r.info.layers.size()},
                  {"output_bytes", store::dump_bytes(info)},
                  {"kv_out_bytes", plan.snapshot_bytes},
                  {"peak_memory_bytes", memory},
                  {"seconds", seconds}};
  fmt::print("{}\n", line.dump());
}

}  // namespace ra::dump_app
