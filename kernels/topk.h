// SPDX-License-Identifier: Apache-2.0
// The k largest of n scores. Larger is better, best first, ties to the smaller id.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

// out_ids and out_scores [min(k, n)] get the best in order; they also serve as the working heap, so
// nothing is allocated. NaN ranks below every number and is written as -infinity. Every level gives
// the same result.
struct TopkArgs {
  const float* scores = nullptr;       // [n]
  const std::uint32_t* ids = nullptr;  // [n] id of each score, all different; null: 0..n-1
  std::size_t n = 0, k = 0;
  std::uint32_t* out_ids = nullptr;
  float* out_scores = nullptr;
};

// Returns min(k, n).
template <Level L>
std::size_t topk(const TopkArgs& a) noexcept;

template <>
std::size_t topk<Level::kScalar>(const TopkArgs& a) noexcept;
template <>
std::size_t topk<Level::kAvx2>(const TopkArgs& a) noexcept;
template <>
std::size_t topk<Level::kAvx512>(const TopkArgs& a) noexcept;

}  // namespace ra::kernels
