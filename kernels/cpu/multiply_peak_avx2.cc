// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/multiply_peak_lanes.h"
#include "kernels/cpu/simd_avx2.h"

namespace ra::kernels {

template <>
double multiply_peak<Level::kAvx2>(std::size_t rounds, bool /*exact_f32*/) noexcept {
  return multiply_peak_lanes<Simd>(rounds);
}

}  // namespace ra::kernels
