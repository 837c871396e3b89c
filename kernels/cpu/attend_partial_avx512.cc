// SPDX-License-Identifier: Apache-2.0
#include "kernels/attend.h"
#include "kernels/cpu/partial_lanes.h"
#include "kernels/cpu/simd_avx512.h"

namespace ra::kernels {

template <>
void attend_partial<Level::kAvx512>(const PartialArgs& a) noexcept {
  partial_lanes<Simd>(a);
}

}  // namespace ra::kernels
