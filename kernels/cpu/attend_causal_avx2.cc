// SPDX-License-Identifier: Apache-2.0
#include "kernels/attend.h"
#include "kernels/cpu/causal_f32.h"
#include "kernels/cpu/simd_avx2.h"

namespace ra::kernels {

template <>
void attend_causal<Level::kAvx2>(const CausalArgs& a) noexcept {
  causal_f32<Simd>(a);
}

}  // namespace ra::kernels
