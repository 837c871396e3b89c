// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/gemm.h"

namespace ra::kernels {

template <>
void gemm<Level::kAvx2>(const GemmArgs& a) noexcept {
  gemm_f32<Simd, Level::kAvx2>(a);
}

}  // namespace ra::kernels
