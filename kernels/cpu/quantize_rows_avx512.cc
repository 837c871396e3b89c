// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/act_scale.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE std::uint32_t max_abs_bits(__m512 a, __m512 b) {
  const __m512i mask = _mm512_set1_epi32(0x7fffffff);
  return static_cast<std::uint32_t>(
      _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_and_si512(_mm512_castps_si512(a), mask),
                                               _mm512_and_si512(_mm512_castps_si512(b), mask))));
}

// Splits 16 integers into the bytes from `at` on and gives their sum.
RA_ALWAYS_INLINE int store_bytes(__m512i v, const QuantizedRow& out, std::size_t at) {
  const __m512i high = _mm512_srai_epi32(_mm512_add_epi32(v, _mm512_set1_epi32(128)), 8);
  const __m512i whole = _mm512_slli_epi32(high, 8);
  const __m512i low = _mm512_max_epi32(_mm512_sub_epi32(v, whole), _mm512_set1_epi32(-127));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.high + at), _mm512_cvtepi32_epi8(high));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.low + at), _mm512_cvtepi32_epi8(low));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(whole, low));
}

// The first `left` of the 32 values at x; the others count as 0.
RA_ALWAYS_INLINE void quantize_block(const float* x, std::size_t left, std::size_t block,
                                     const QuantizedRow& out) {
  const __m512 a = load16(x, first_lanes(left));
  const __m512 b = left > 16 ? load16(x + 16, first_lanes(left - 16)) : _mm512_setzero_ps();
  const ActScale s = act_scale(max_abs_bits(a, b));
  __m512i qa = _mm512_setzero_si512(), qb = qa;
  if (!s.is_bad) {
    qa = _mm512_cvtps_epi32(_mm512_mul_ps(a, _mm512_set1_ps(s.inverse)));
    qb = _mm512_cvtps_epi32(_mm512_mul_ps(b, _mm512_set1_ps(s.inverse)));
  }
  const int lo = store_bytes(qa, out, block * kActBlock);
  const int hi = store_bytes(qb, out, block * kActBlock + 16);
  out.scale[block] = s.scale;
  out.sum[block] = s.scale * static_cast<float>(lo + hi);
  out.half_sum[2 * block] = s.scale * static_cast<float>(lo);
  out.half_sum[2 * block + 1] = s.scale * static_cast<float>(hi);
}

}  // namespace

template <>
void quantize_rows<Level::kAvx512>(const Activations& a, std::byte* out) noexcept {
  for (std::size_t t = 0; t < a.tokens; ++t) {
    const float* x = a.x + t * a.x_stride;
    const QuantizedRow row = quantized_row(out + t * quantized_row_bytes(a.cols), a.cols);
    for (std::size_t b = 0; b < act_blocks(a.cols); ++b) {
      const std::size_t first = b * kActBlock < a.cols ? b * kActBlock : a.cols;
      quantize_block(x + first, a.cols - first, b, row);
    }
  }
}

}  // namespace ra::kernels
