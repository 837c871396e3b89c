// SPDX-License-Identifier: Apache-2.0
// Parts of codes_at_least that levels share.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/codes.h"

namespace ra::kernels {

// The least sum of products that is at least `floor`; NaN: none is. Sums stay below 2^24 (codes.h).
template <Level L>
std::int32_t whole_floor(float floor) noexcept {
  constexpr float kBound = 1 << 25;
  return static_cast<std::int32_t>(floor < kBound ? std::ceil(std::max(floor, -kBound)) : kBound);
}

// By way of score_codes: a few blocks at a time, whose scores stay in the first-level cache.
// mask_of(const float* scores, float floor): bit i set if scores[i] >= floor, of kCodeKeys scores.
template <Level L, class MaskOf>
std::size_t filter_scores(const CodeArgs& a, const float* floors, std::uint32_t* rows,
                          const MaskOf& mask_of) noexcept {
  constexpr std::size_t kBlocks = 16, kStride = kBlocks * kCodeKeys;
  alignas(64) float scores[kMostFilterQueries * kStride];
  std::size_t count = 0;
  for (std::size_t j = 0; j < a.n; j += kBlocks) {
    CodeArgs part = a;
    part.n = std::min(kBlocks, a.n - j);
    if (a.blocks != nullptr)
      part.blocks = a.blocks + j;
    else
      part.first = a.first + j;
    part.rule = nullptr;
    part.out = scores;
    part.out_stride = kStride;
    score_codes<L>(part);
    for (std::size_t b = 0; b < part.n; ++b) {
      unsigned mask = 0;
      for (std::size_t g = 0; g < a.group; ++g)
        mask |= mask_of(scores + g * kStride + b * kCodeKeys, floors[g]);
      const std::size_t row = part.block(b) * kCodeKeys;
      for (; mask != 0; mask &= mask - 1)
        rows[count++] =
            static_cast<std::uint32_t>(row + static_cast<std::size_t>(__builtin_ctz(mask)));
    }
  }
  return count;
}

}  // namespace ra::kernels
