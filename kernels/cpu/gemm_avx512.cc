// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/gemm.h"

namespace ra::kernels {

template <>
void gemm<Level::kAvx512>(const GemmArgs& a) noexcept {
  gemm_f32<Simd, Level::kAvx512>(a);
}

}  // namespace ra::kernels
