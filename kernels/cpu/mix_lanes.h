// SPDX-License-Identifier: Apache-2.0
// mix_rows and sum_ranges (kernels/mix.h), written once over S = Simd of simd_avx2.h or
// simd_avx512.h.
#pragma once

#include <cstddef>

#include "kernels/cpu/unroll.h"
#include "kernels/mix.h"

namespace ra::kernels {
namespace {

// R queries from g on: a vector of each stays in registers.
template <class S, std::size_t R>
RA_ALWAYS_INLINE void mix_some(const MixArgs& a, std::size_t g) {
  using V = typename S::V;
  static_assert(kMixElements % S::kLanes == 0);
  const float* weights = a.weights + g * a.weight_stride;
  for (std::size_t j = 0; j < a.dim; j += S::kLanes) {
    float* out = a.out + g * a.out_stride + j;
    V acc[R];
    RA_UNROLL(8)
    for (std::size_t r = 0; r < R; ++r) acc[r] = S::load(out + r * a.out_stride);
    for (std::size_t i = 0; i < a.n; ++i) {
      const V row = S::load(a.rows + i * a.dim + j);
      RA_UNROLL(8)
      for (std::size_t r = 0; r < R; ++r)
        acc[r] = S::fma(S::set1(weights[r * a.weight_stride + i]), row, acc[r]);
    }
    RA_UNROLL(8)
    for (std::size_t r = 0; r < R; ++r) S::store(out + r * a.out_stride, acc[r]);
  }
}

template <class S>
RA_ALWAYS_INLINE void mix_group(const MixArgs& a) {
  std::size_t g = 0;
  for (; g + 8 <= a.group; g += 8) mix_some<S, 8>(a, g);
  switch (a.group - g) {
    case 7:
      return mix_some<S, 7>(a, g);
    case 6:
      return mix_some<S, 6>(a, g);
    case 5:
      return mix_some<S, 5>(a, g);
    case 4:
      return mix_some<S, 4>(a, g);
    case 3:
      return mix_some<S, 3>(a, g);
    case 2:
      return mix_some<S, 2>(a, g);
    case 1:
      return mix_some<S, 1>(a, g);
    default:
      return;
  }
}

template <class S>
RA_ALWAYS_INLINE void sum_ranges_of_group(const RangeArgs& a) {
  for (std::size_t g = 0; g < a.group; ++g) {
    const float* x = a.x + g * a.stride;
    for (std::size_t t = 0; t < a.ranges; ++t) {
      const std::size_t last = a.last[t];
      if (a.first[t] >= last) continue;
      typename S::V sum = S::zero();
      for (std::size_t i = a.first[t]; i < last; i += S::kLanes)
        sum = S::add(sum, S::load(x + i, S::first_lanes(last - i)));
      a.out[g * a.out_stride + t] = S::reduce_add(sum);
    }
  }
}

}  // namespace
}  // namespace ra::kernels
