// SPDX-License-Identifier: Apache-2.0
// Cuts a list of scores at its m-th largest, without sorting it: for large m, where a heap
// (topk.h) is slow. NaN counts as -infinity. Every level gives the same result.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

// The m-th largest of scores[0..n), 1 <= m <= n. scratch [n].
template <Level L>
float kth_largest(const float* scores, std::size_t n, std::size_t m, float* scratch) noexcept;

// Writes the positions of scores >= floor, ascending, at most `most` of them; returns their number.
template <Level L>
std::size_t at_least(const float* scores, std::size_t n, float floor, std::size_t most,
                     std::uint32_t* out) noexcept;

// Both in one pass over the scores: sets *floor to the m-th largest, 1 <= m <= n, and writes the
// positions of all scores >= *floor, ascending: m, and more where scores tie. scratch, out [n].
template <Level L>
std::size_t largest(const float* scores, std::size_t n, std::size_t m, float* floor, float* scratch,
                    std::uint32_t* out) noexcept;

// Columns of scores [group, n], rows `stride` apart.
struct GroupScores {
  const float* scores = nullptr;
  std::size_t stride = 0, group = 0, n = 0;
};

// Writes the columns where some row g scores at least floors[g], ascending; returns their number.
// NaN is below any floor. out [n].
template <Level L>
std::size_t group_at_least(const GroupScores& a, const float* floors, std::uint32_t* out) noexcept;

template <>
float kth_largest<Level::kScalar>(const float* scores, std::size_t n, std::size_t m,
                                  float* scratch) noexcept;
template <>
float kth_largest<Level::kAvx2>(const float* scores, std::size_t n, std::size_t m,
                                float* scratch) noexcept;
template <>
float kth_largest<Level::kAvx512>(const float* scores, std::size_t n, std::size_t m,
                                  float* scratch) noexcept;
template <>
std::size_t at_least<Level::kScalar>(const float* scores, std::size_t n, float floor,
                                     std::size_t most, std::uint32_t* out) noexcept;
template <>
std::size_t at_least<Level::kAvx2>(const float* scores, std::size_t n, float floor,
                                   std::size_t most, std::uint32_t* out) noexcept;
template <>
std::size_t at_least<Level::kAvx512>(const float* scores, std::size_t n, float floor,
                                     std::size_t most, std::uint32_t* out) noexcept;
template <>
std::size_t largest<Level::kScalar>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                    float* scratch, std::uint32_t* out) noexcept;
template <>
std::size_t largest<Level::kAvx2>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                  float* scratch, std::uint32_t* out) noexcept;
template <>
std::size_t largest<Level::kAvx512>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                    float* scratch, std::uint32_t* out) noexcept;

template <>
std::size_t group_at_least<Level::kScalar>(const GroupScores& a, const float* floors,
                                           std::uint32_t* out) noexcept;
template <>
std::size_t group_at_least<Level::kAvx2>(const GroupScores& a, const float* floors,
                                         std::uint32_t* out) noexcept;
template <>
std::size_t group_at_least<Level::kAvx512>(const GroupScores& a, const float* floors,
                                           std::uint32_t* out) noexcept;

}  // namespace ra::kernels
