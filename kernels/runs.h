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

// Rows that at least one query of a group finds good enough.
struct GroupRunArgs {
  const float* scores = nullptr;  // by code, of query g from g * stride on
  std::size_t stride = 0, group = 0;
  const Run* runs = nullptr;  // [n]; base and unit are not read
  std::size_t n = 0;
  const float* floors = nullptr;  // [n, group]: the least score by code that counts
  std::uint32_t* out = nullptr;   // [rows of all runs]
};

// Writes the numbers of such rows, counted through all runs, ascending; returns how many. NaN is
// never good enough. Every level gives the same result.
template <Level L>
std::size_t runs_at_least(const GroupRunArgs& a) noexcept;

template <>
void run_scores<Level::kScalar>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept;
template <>
void run_scores<Level::kAvx2>(const float* scores, const Run* runs, std::size_t n,
                              float* out) noexcept;
template <>
void run_scores<Level::kAvx512>(const float* scores, const Run* runs, std::size_t n,
                                float* out) noexcept;
template <>
std::size_t runs_at_least<Level::kScalar>(const GroupRunArgs& a) noexcept;
template <>
std::size_t runs_at_least<Level::kAvx2>(const GroupRunArgs& a) noexcept;
template <>
std::size_t runs_at_least<Level::kAvx512>(const GroupRunArgs& a) noexcept;

}  // namespace ra::kernels
