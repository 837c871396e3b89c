// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/gemm_tiles.h"
#include "kernels/cpu/pairs_avx512.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/gemm.h"

namespace ra::kernels {

template <>
void gemm<Level::kAvx512>(const GemmArgs& a) noexcept {
  a.packed == nullptr ? gemm_f32<Simd, Level::kAvx512>(a) : gemm_tiles<PairUnit>(a);
}

// [tokens / 16][cols / 32][16 tokens][32]
template <>
void gemm_pack<Level::kAvx512>(const float* x, std::size_t x_stride, std::size_t tokens,
                               std::size_t cols, std::byte* packed) noexcept {
  const std::size_t steps = (cols + 31) / 32;
  float* to = reinterpret_cast<float*>(packed);
  for (std::size_t t = 0; t < gemm_panel::round_up(tokens, kGemmTokens); ++t)
    for (std::size_t k = 0; k < steps; ++k) {
      const __m512 v =
          t < tokens ? load_bf16(x + t * x_stride + 32 * k, cols - 32 * k) : _mm512_setzero_ps();
      _mm512_store_ps(to + (t / 16 * steps + k) * 256 + t % 16 * 16, v);
    }
}

}  // namespace ra::kernels
