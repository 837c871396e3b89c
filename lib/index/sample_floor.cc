// SPDX-License-Identifier: Apache-2.0
#include "lib/index/sample_floor.h"

#include <algorithm>
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

SampleFloor sample_floor(std::size_t n, std::size_t rank) {
  constexpr std::size_t kFewest = 128, kMost = 1024, kFewRows = 4;  // parts, rows of a part
  RA_CHECK(0 < rank && rank <= n);
  const std::size_t parts = std::max(std::bit_ceil(8 * rank), kFewest);
  if (parts > kMost || n < kFewRows * parts) return {.parts = 0, .rank = rank};
  return {.parts = parts, .rank = parts_hit(rank, parts)};
}

float floor_of(const SampleFloor& f, std::size_t g, std::span<const float> best,
               std::span<const float> sampled, CutScratch& s) {
  return mth_largest(f.parts > 0 ? best.subspan(g * f.parts, f.parts) : sampled, f.rank, s);
}

}  // namespace ra::index
