// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/gemm_gated_tiles.h"
#include "kernels/gemm_gated.h"

namespace ra::kernels {

template <>
void gemm_gated<Level::kAmx>(const GatedArgs& a) noexcept {
  gated_tiles<AmxUnit>(a);
}

}  // namespace ra::kernels
