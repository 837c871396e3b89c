// SPDX-License-Identifier: Apache-2.0
// A score and its id as one number: larger is better, the smaller id where scores are equal.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace ra::cuda {

using Rank = unsigned long long;

__device__ __forceinline__ Rank rank_of(float score, std::uint32_t id) {
  // NaN counts as -infinity, and -0 as 0; then the bits of a float are in order but for the signs.
  const float number = score == score ? score + 0.0f : -INFINITY;
  const std::uint32_t bits = __float_as_uint(number);
  const std::uint32_t ordered = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<Rank>(ordered) << 32 | static_cast<std::uint32_t>(~id);
}
__device__ __forceinline__ float score_of(Rank rank) {
  const auto ordered = static_cast<std::uint32_t>(rank >> 32);
  return __uint_as_float((ordered & 0x80000000u) != 0 ? ordered & 0x7fffffffu : ~ordered);
}
__device__ __forceinline__ std::uint32_t id_of(Rank rank) {
  return ~static_cast<std::uint32_t>(rank);
}

}  // namespace ra::cuda
