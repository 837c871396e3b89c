// SPDX-License-Identifier: Apache-2.0
// Scores of rows that lie in runs: the members of the lists that a search reads, each list with a
// base and a unit of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

// Rows at .. at + rows - 1 of the scores of codes; the score of row i is base + unit * scores[i].
struct Run {
  std::uint32_t at = 0, rows = 0;
  float base = 0, unit = 0;
};

// out[p] = score of the p-th row of all runs, one run after the other; out as long as they are.
template <Level L>
void run_scores(const float* scores, const Run* runs, std::size_t n, float* out) noexcept;

// Writes the numbers p of the rows whose score is at least `floor`, ascending; out as long as all
// runs. Returns how many. NaN is never at least anything. Every level gives the same result.
template <Level L>
std::size_t runs_at_least(const float* scores, const Run* runs, std::size_t n, float floor,
                          std::uint32_t* out) noexcept;

template <>
void run_scores<Level::kScalar>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept;
template <>
void run_scores<Level::kAvx512>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept;
template <>
std::size_t runs_at_least<Level::kScalar>(const float* scores, const Run* runs, std::size_t n,
                                          float floor, std::uint32_t* out) noexcept;
template <>
std::size_t runs_at_least<Level::kAvx512>(const float* scores, const Run* runs, std::size_t n,
                                          float floor, std::uint32_t* out) noexcept;

}  // namespace ra::kernels
