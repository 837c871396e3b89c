// SPDX-License-Identifier: Apache-2.0
#include "lib/index/sample_floor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "lib/core/error.h"

namespace ra::index {
namespace {

// How many of `parts` hold one of `rank` rows that fall anywhere.
std::size_t parts_hit(std::size_t rank, std::size_t parts) {
  double hit = 0;
  for (std::size_t i = 0; i < rank; ++i) hit += 1 - hit / static_cast<double>(parts);
  return static_cast<std::size_t>(std::lround(hit));
}

}  // namespace

float sample_floor(std::span<const float> scores, std::size_t rank, CutScratch& s) {
  constexpr std::size_t kFewest = 128, kMost = 1024, kFewRows = 4;  // parts, rows of a part
  RA_CHECK(0 < rank && rank <= scores.size());
  const std::size_t parts = std::max(std::bit_ceil(8 * rank), kFewest);
  if (parts > kMost || scores.size() < kFewRows * parts) return mth_largest(scores, rank, s);
  // Row i is of part i modulo `parts`: neighbours, which are alike, are of different ones.
  constexpr std::size_t kLanes = 16;
  alignas(64) std::array<float, kMost> best;
  std::copy_n(scores.data(), parts, best.data());
  const std::size_t whole = scores.size() / kLanes * kLanes;
  for (std::size_t i = parts; i < whole; i += kLanes) {
    float* to = &best[i % parts];
    const float* from = &scores[i];
    for (std::size_t j = 0; j < kLanes; ++j) to[j] = std::max(to[j], from[j]);
  }
  for (std::size_t i = std::max(parts, whole); i < scores.size(); ++i)
    best[i % parts] = std::max(best[i % parts], scores[i]);
  return mth_largest({best.data(), parts}, parts_hit(rank, parts), s);
}

}  // namespace ra::index
