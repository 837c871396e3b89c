// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/gemm_tiles.h"
#include "kernels/gemm.h"

namespace ra::kernels {

template <>
void gemm<Level::kAmx>(const GemmArgs& a) noexcept {
  a.packed == nullptr ? gemm<Level::kAvx512>(a) : gemm_tiles<AmxUnit>(a);
}

}  // namespace ra::kernels
