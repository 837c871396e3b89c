// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/recall.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "lib/core/error.h"

namespace ra::stats {

Recall recall_at_k(std::span<const std::uint32_t> returned, std::span<const float> scores,
                   const ExactTop& exact) {
  const std::size_t k = exact.ids.size();
  RA_CHECK(k > 0 && exact.scores.size() == k && returned.size() == scores.size());
  std::vector<std::uint32_t> truth(exact.ids.begin(), exact.ids.end());
  std::sort(truth.begin(), truth.end());
  std::unordered_set<std::uint32_t> seen;
  const double bound = static_cast<double>(exact.scores.back()) - 1e-6 * exact.max_abs;
  std::size_t by_id = 0, by_score = 0;
  for (std::size_t i = 0; i < returned.size() && seen.size() < k; ++i) {
    if (!seen.insert(returned[i]).second) continue;
    by_id += std::binary_search(truth.begin(), truth.end(), returned[i]) ? 1 : 0;
    by_score += scores[i] >= bound ? 1 : 0;
  }
  const auto share = [k](std::size_t n) { return static_cast<double>(n) / static_cast<double>(k); };
  return {.id = share(by_id), .tie = share(by_score)};
}

float exact_dot(const float* a, const float* b, std::size_t n) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

}  // namespace ra::stats
