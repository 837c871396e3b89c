// SPDX-License-Identifier: Apache-2.0
// Blocking of causal attention, shared by its levels and by causal_scratch_bytes.
//
// Query rows (t, g) are numbered t * group + g and laid along SIMD lanes (f32: two vectors, bf16:
// the 16 columns of two tiles), keys along rows: S^T = K Q^T. So the softmax of a lane is vertical,
// a block of K is used as it lies in the cache, and P^T is what O^T = V^T P^T needs. A block of
// keys is widened or packed once and used by all rows of a token tile.
#pragma once

#include <cstddef>

#include "kernels/attend.h"

namespace ra::kernels::attend_tiles {

inline constexpr std::size_t kKeyBlock = 256;
// Query rows of a token tile: packing a block of V costs about as much as 4 rows of attention to
// it, and 1024 rows of q and out (d = 64: 0.4 MB) still fit the second-level cache.
inline constexpr std::size_t kRows = 1024;
inline constexpr std::size_t kMaxLanes = 32;  // rows are padded to the widest register tile
// Running maximum of a row that has met no key. Not -inf: a block may lie wholly before a row's
// window, and exp(-inf - -inf) would be NaN.
inline constexpr float kNoMaximum = -3.402823466e38f;

// Not from <algorithm>: a template instantiated in a source built for AVX-512 may be the copy that
// the linker keeps for the whole program.
RA_ALWAYS_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }
RA_ALWAYS_INLINE void fill(float* p, std::size_t n, float value) {
  for (std::size_t i = 0; i < n; ++i) p[i] = value;
}
RA_ALWAYS_INLINE std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}
RA_ALWAYS_INLINE std::size_t token_tile(std::size_t tokens, std::size_t group) {
  const std::size_t most = kRows / group > 0 ? kRows / group : 1;
  return tokens < most ? tokens : most;
}

// Offsets in floats into the scratch memory. bf16 takes half of what is laid out for
// q, k, v and p.
struct Layout {
  std::size_t q = 0, out = 0, max = 0, sum = 0, limit = 0, k = 0, v = 0, s = 0, p = 0, end = 0;
};
RA_ALWAYS_INLINE Layout layout(std::size_t tokens, std::size_t group, std::size_t head_dim,
                               std::size_t value_dim) {
  const std::size_t rows = round_up(token_tile(tokens, group) * group, kMaxLanes);
  const std::size_t d = round_up(head_dim, 32), dv = round_up(value_dim, 32);
  Layout l;
  l.out = l.q + rows * d;
  l.max = l.out + rows * dv;
  l.sum = l.max + rows;
  l.limit = l.sum + rows;
  l.k = l.limit + rows;
  l.v = l.k + kKeyBlock * d;
  l.s = l.v + kKeyBlock * dv;
  l.p = l.s + kKeyBlock * kMaxLanes;
  l.end = l.p + kKeyBlock * kMaxLanes;
  return l;
}

}  // namespace ra::kernels::attend_tiles
