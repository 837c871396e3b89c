// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/mix_lanes.h"
#include "kernels/cpu/simd_avx512.h"

namespace ra::kernels {

template <>
void mix_rows<Level::kAvx512>(const MixArgs& a) noexcept {
  mix_group<Simd>(a);
}

template <>
void sum_ranges<Level::kAvx512>(const RangeArgs& a) noexcept {
  sum_ranges_of_group<Simd>(a);
}

}  // namespace ra::kernels
