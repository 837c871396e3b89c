// SPDX-License-Identifier: Apache-2.0
#include "kernels/mix.h"

namespace ra::kernels {

template <>
void mix_rows<Level::kScalar>(const MixArgs& a) noexcept {
  for (std::size_t g = 0; g < a.group; ++g)
    for (std::size_t i = 0; i < a.n; ++i)
      for (std::size_t j = 0; j < a.dim; ++j)
        a.out[g * a.out_stride + j] +=
            a.weights[g * a.weight_stride + i] * to_float(a.rows[i * a.dim + j]);
}

template <>
void sum_ranges<Level::kScalar>(const RangeArgs& a) noexcept {
  for (std::size_t g = 0; g < a.group; ++g)
    for (std::size_t t = 0; t < a.ranges; ++t) {
      if (a.first[t] >= a.last[t]) continue;
      float& sum = a.out[g * a.out_stride + t] = 0;
      for (std::uint32_t i = a.first[t]; i < a.last[t]; ++i) sum += a.x[g * a.stride + i];
    }
}

}  // namespace ra::kernels
