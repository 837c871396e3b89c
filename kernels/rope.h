// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al., arXiv 2104.09864) of the heads of one token, in place.
#pragma once

#include <cstddef>

#include "kernels/level.h"

namespace ra::kernels {

// Rotates the first `rotary_dims` (even, <= head_dim) values of each head; the rest is untouched.
// Pair i is (2i, 2i+1) if interleaved, else (i, i + rotary_dims / 2), and
//   (a, b) -> (a * cos[i] - b * sin[i], b * cos[i] + a * sin[i]).
// Every level rounds the same way: products and sums are not fused.
struct RopeArgs {
  float* x = nullptr;          // [heads, head_dim]
  const float* cos = nullptr;  // [rotary_dims / 2] of this token's position; any magnitude
  const float* sin = nullptr;  // (YaRN) is already in both
  std::size_t heads = 0, head_dim = 0, rotary_dims = 0;
  bool interleaved = false;
};

template <Level L>
void rope(const RopeArgs& a) noexcept;

template <>
void rope<Level::kScalar>(const RopeArgs& a) noexcept;
template <>
void rope<Level::kAvx2>(const RopeArgs& a) noexcept;
template <>
void rope<Level::kAvx512>(const RopeArgs& a) noexcept;

}  // namespace ra::kernels
