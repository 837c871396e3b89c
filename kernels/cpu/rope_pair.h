// SPDX-License-Identifier: Apache-2.0
// One rotation, for the tails of the vector loops. In an anonymous namespace: sources of every
// level include it.
#pragma once

#include "kernels/rope.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE void rotate_pair(float& a, float& b, float cos, float sin) {
  const float x = a, y = b;
  a = x * cos - y * sin;
  b = y * cos + x * sin;
}

// Pairs first..rotary_dims / 2 of one head.
RA_ALWAYS_INLINE void rotate_pairs(const RopeArgs& a, float* head, std::size_t first) {
  const std::size_t pairs = a.rotary_dims / 2;
  for (std::size_t i = first; i < pairs; ++i) {
    float* x = head + (a.interleaved ? 2 * i : i);
    rotate_pair(*x, x[a.interleaved ? 1 : pairs], a.cos[i], a.sin[i]);
  }
}

}  // namespace
}  // namespace ra::kernels
