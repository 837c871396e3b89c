// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/exact_scores.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/core/parallel.h"
#include "lib/model/kv_cache.h"

namespace ra::bench_app {

ExactScores::ExactScores(const model::AttendInput& in, std::size_t heads)
    : logits_(heads, static_cast<std::size_t>(in.pos) + 1), all_(heads), top_(heads) {
  const std::size_t dim = in.q.cols / heads,
                    group = heads / static_cast<std::size_t>(in.cache->shape().kv_heads);
  parallel_for(heads, [&](std::size_t h, int) {
    const std::span<float> logits = logits_.row_span(h);
    model::score_keys(in.cache->rows(0, static_cast<int>(h / group)), in.q.row(0) + h * dim,
                      logits);
    for (float& x : logits) x *= in.scale;
    top_[h] = *std::ranges::max_element(logits);
    for (const float x : logits) all_[h] += std::exp(x - top_[h]);
  });
}

double ExactScores::mass(std::size_t head, const Chosen& chosen) const {
  const float* logits = logits_.row(head);
  const auto n = static_cast<std::int64_t>(logits_.cols());
  double kept = 0;
  const auto add = [&](std::int64_t p) { kept += std::exp(logits[p] - top_[head]); };
  for (std::int64_t p = 0; p < std::min(chosen.begin, n); ++p) add(p);
  for (std::int64_t p = std::max(chosen.end, chosen.begin); p < n; ++p) add(p);
  for (const std::uint32_t p : chosen.retrieved) add(p);
  return kept / all_[head];
}

double ExactScores::recall(std::size_t head, const Chosen& chosen, std::size_t k) const {
  if (chosen.retrieved.empty()) return 1;
  const float* logits = logits_.row(head);
  std::vector<float> indexed(logits + chosen.begin, logits + chosen.end);
  const std::size_t best = std::min({k, chosen.retrieved.size(), indexed.size()});
  const auto last = indexed.begin() + static_cast<std::ptrdiff_t>(best - 1);
  std::nth_element(indexed.begin(), last, indexed.end(), std::greater<>());
  const auto good =
      std::ranges::count_if(chosen.retrieved, [&](std::uint32_t p) { return logits[p] >= *last; });
  // More than k of them only where scores tie.
  return std::min(1.0, static_cast<double>(good) / static_cast<double>(best));
}

}  // namespace ra::bench_app
