// SPDX-License-Identifier: Apache-2.0
#include "lib/index/best_hits.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/ops.h"
#include "lib/core/error.h"

namespace ra::index {
namespace {

// Positions of the m largest scores and of those that tie with the last, in s.at; 1 <= m <= n.
std::size_t largest(std::span<const float> scores, std::size_t m, float& floor, CutScratch& s) {
  if (s.scores.size() < scores.size()) s.scores.resize(scores.size());
  if (s.at.size() < scores.size()) s.at.resize(scores.size());
  return kernels::ops().largest(scores.data(), scores.size(), m, &floor, s.scores.data(),
                                s.at.data());
}

// Numbers that fall as scores rise, and back. -0 counts as 0.
std::uint32_t falling(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score == 0 ? 0.0f : score);
  return (bits >> 31) != 0 ? bits : ~bits & 0x7fffffffu;
}
float rising(std::uint32_t key) {
  return std::bit_cast<float>((key >> 31) != 0 ? key : ~key & 0x7fffffffu);
}

}  // namespace

std::span<const std::uint32_t> cut(std::span<const float> scores, std::size_t m, CutScratch& s) {
  m = std::min(m, scores.size());
  if (m == 0) return {};
  float floor = 0;
  const std::size_t count = largest(scores, m, floor, s);
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
  float floor = 0;
  const std::size_t count = largest(scores, std::min(k, scores.size()), floor, s);
  // A hit as one number, the best one the smallest: falling scores, then ids.
  s.keys.clear();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t j = s.at[i];
    if (!std::isnan(scores[j])) s.keys.push_back(std::uint64_t{falling(scores[j])} << 32 | ids[j]);
  }
  std::sort(s.keys.begin(), s.keys.end());
  if (s.keys.size() > k) s.keys.resize(k);
  for (const std::uint64_t key : s.keys)
    hits.push_back(
        {static_cast<std::uint32_t>(key), rising(static_cast<std::uint32_t>(key >> 32))});
}

void best_unranked(std::span<const float> scores, std::span<const std::uint32_t> ids, std::size_t k,
                   CutScratch& s, std::vector<Hit>& hits) {
  RA_CHECK(scores.size() == ids.size());
  hits.clear();
  for (const std::uint32_t j : cut(scores, k, s))
    if (!std::isnan(scores[j])) hits.push_back({ids[j], scores[j]});
}

float mth_largest(std::span<const float> scores, std::size_t m, CutScratch& s) {
  RA_CHECK(0 < m && m <= scores.size());
  if (s.scores.size() < scores.size()) s.scores.resize(scores.size());
  return kernels::ops().kth_largest(scores.data(), scores.size(), m, s.scores.data());
}

}  // namespace ra::index
