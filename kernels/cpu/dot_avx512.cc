// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/dot.h"

namespace ra::kernels {
namespace {

// Two loads feed each FMA, so at best one FMA a cycle; four chains cover its 4-cycle latency.
template <class T>
float dot_lanes(const float* a, const T* b, std::size_t n) {
  __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                 _mm512_setzero_ps()};
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64)
    for (std::size_t c = 0; c < 4; ++c)
      s[c] = _mm512_fmadd_ps(load16(a + i + 16 * c), load16(b + i + 16 * c), s[c]);
  for (; i < n; i += 16) {  // the last one masked: touches nothing past n
    const __mmask16 m = first_lanes(n - i);
    s[0] = _mm512_fmadd_ps(load16(a + i, m), load16(b + i, m), s[0]);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

}  // namespace

template <>
float dot<Level::kAvx512>(const float* a, const float* b, std::size_t n) noexcept {
  return dot_lanes(a, b, n);
}

template <>
float dot_bf16<Level::kAvx512>(const float* a, const bf16* b, std::size_t n) noexcept {
  return dot_lanes(a, b, n);
}

}  // namespace ra::kernels
