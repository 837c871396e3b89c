// SPDX-License-Identifier: Apache-2.0
#include "lib/index/best_hits.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// The m-th largest score; 1 <= m <= n.
float floor_of(std::span<const float> scores, std::size_t m, CutScratch& s) {
  if (s.scores.size() < scores.size()) s.scores.resize(scores.size());
  if (s.at.size() < scores.size()) s.at.resize(scores.size());
  return kernels::ops().kth_largest(scores.data(), scores.size(), m, s.scores.data());
}

}  // namespace

std::span<const std::uint32_t> cut(std::span<const float> scores, std::size_t m, CutScratch& s) {
  m = std::min(m, scores.size());
  if (m == 0) return {};
  const kernels::OpTable& ops = kernels::ops();
  const float floor = floor_of(scores, m, s);
  const std::size_t count =
      ops.at_least(scores.data(), scores.size(), floor, scores.size(), s.at.data());
  // Too many only where scores tie at the floor: the last of these go.
  std::size_t kept = 0, surplus = count - m;
  for (std::size_t i = count; surplus > 0; --i)
    if (!(scores[s.at[i - 1]] > floor)) {
      s.at[i - 1] = UINT32_MAX;
      --surplus;
    }
  if (count == m) return {s.at.data(), m};
  for (std::size_t i = 0; i < count; ++i)
    if (s.at[i] != UINT32_MAX) s.at[kept++] = s.at[i];
  return {s.at.data(), kept};
}

void best_hits(std::span<const float> scores, std::span<const std::uint32_t> ids, std::size_t k,
               CutScratch& s, std::vector<Hit>& hits) {
  RA_CHECK(scores.size() == ids.size());
  hits.clear();
  if (k == 0 || scores.empty()) return;
  const float floor = floor_of(scores, std::min(k, scores.size()), s);
  const std::size_t count =
      kernels::ops().at_least(scores.data(), scores.size(), floor, scores.size(), s.at.data());
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t j = s.at[i];
    if (!std::isnan(scores[j])) hits.push_back({ids[j], scores[j]});
  }
  std::sort(hits.begin(), hits.end(), better);
  if (hits.size() > k) hits.resize(k);
}

}  // namespace ra::index
