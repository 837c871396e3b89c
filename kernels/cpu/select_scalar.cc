// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/select.h"

namespace ra::kernels {
namespace {

float ranked(float x) { return std::isnan(x) ? -std::numeric_limits<float>::infinity() : x; }

}  // namespace

template <>
float kth_largest<Level::kScalar>(const float* scores, std::size_t n, std::size_t m,
                                  float* scratch) noexcept {
  std::transform(scores, scores + n, scratch, ranked);
  std::nth_element(scratch, scratch + (m - 1), scratch + n, std::greater<>());
  return scratch[m - 1];
}

template <>
std::size_t at_least<Level::kScalar>(const float* scores, std::size_t n, float floor,
                                     std::size_t most, std::uint32_t* out) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n && count < most; ++i)
    if (ranked(scores[i]) >= floor) out[count++] = static_cast<std::uint32_t>(i);
  return count;
}

template <>
std::size_t largest<Level::kScalar>(const float* scores, std::size_t n, std::size_t m, float* floor,
                                    float* scratch, std::uint32_t* out) noexcept {
  *floor = kth_largest<Level::kScalar>(scores, n, m, scratch);
  return at_least<Level::kScalar>(scores, n, *floor, n, out);
}

template <>
std::size_t group_at_least<Level::kScalar>(const GroupScores& a, const float* floors,
                                           std::uint32_t* out) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.n; ++i) {
    bool any = false;
    for (std::size_t g = 0; g < a.group; ++g) any |= a.scores[g * a.stride + i] >= floors[g];
    if (any) out[count++] = static_cast<std::uint32_t>(i);
  }
  return count;
}

}  // namespace ra::kernels
