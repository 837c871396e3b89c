// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/gemm_gated_tiles.h"
#include "kernels/cpu/pairs_avx512.h"
#include "kernels/gemm_gated.h"

namespace ra::kernels {

template <>
void gemm_gated<Level::kAvx512>(const GatedArgs& a) noexcept {
  gated_tiles<PairUnit>(a);
}

}  // namespace ra::kernels
