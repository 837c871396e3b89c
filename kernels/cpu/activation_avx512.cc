// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/activation.h"
#include "kernels/cpu/activation_lanes_avx512.h"
#include "kernels/cpu/lanes_avx512.h"

namespace ra::kernels {
namespace {

template <Activation A>
RA_ALWAYS_INLINE void gated(const float* up, float* gate, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    const __m512 v = _mm512_mul_ps(activate<A>(load16(gate + i, m)), load16(up + i, m));
    _mm512_mask_storeu_ps(gate + i, m, v);
  }
}

}  // namespace

template <>
void swiglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept {
  gated<Activation::kSilu>(up, gate, n);
}

template <>
void geglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept {
  gated<Activation::kGelu>(up, gate, n);
}

}  // namespace ra::kernels
