// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/act_scale.h"
#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE std::uint32_t max_abs_bits(const __m256 (&v)[4]) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i m = _mm256_setzero_si256();
  for (const __m256 x : v) m = _mm256_max_epu32(m, _mm256_and_si256(_mm256_castps_si256(x), mask));
  __m128i r = _mm_max_epu32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  r = _mm_max_epu32(r, _mm_unpackhi_epi64(r, r));
  r = _mm_max_epu32(r, _mm_shuffle_epi32(r, 1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(r));
}

RA_ALWAYS_INLINE int sum16(__m128i q) {  // of 16 signed bytes
  const __m256i wide = _mm256_madd_epi16(_mm256_cvtepi8_epi16(q), _mm256_set1_epi16(1));
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  s = _mm_add_epi32(s, _mm_unpackhi_epi64(s, s));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 1)));
}

// 32 integers as bytes. The packs work within 128-bit lanes; the permutation restores the order.
RA_ALWAYS_INLINE __m256i to_bytes(const __m256i (&v)[4]) {
  const __m256i bytes =
      _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3]));
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// x: 32 values.
void quantize_block(const float* x, std::size_t block, const QuantizedRow& out) {
  __m256 v[4];
  for (int i = 0; i < 4; ++i) v[i] = _mm256_loadu_ps(x + 8 * i);
  const ActScale s = act_scale(max_abs_bits(v));
  __m256i q[4];
  for (int i = 0; i < 4; ++i)
    q[i] = s.is_bad ? _mm256_setzero_si256()
                    : _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(s.inverse)));
  __m256i high[4], low[4];
  for (int i = 0; i < 4; ++i) {
    high[i] = _mm256_srai_epi32(_mm256_add_epi32(q[i], _mm256_set1_epi32(128)), 8);
    low[i] = _mm256_max_epi32(_mm256_sub_epi32(q[i], _mm256_slli_epi32(high[i], 8)),
                              _mm256_set1_epi32(-127));
  }
  const __m256i h = to_bytes(high), l = to_bytes(low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.high + block * kActBlock), h);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out.low + block * kActBlock), l);
  const int lo = 256 * sum16(_mm256_castsi256_si128(h)) + sum16(_mm256_castsi256_si128(l));
  const int hi =
      256 * sum16(_mm256_extracti128_si256(h, 1)) + sum16(_mm256_extracti128_si256(l, 1));
  out.scale[block] = s.scale;
  out.sum[block] = s.scale * static_cast<float>(lo + hi);
  out.half_sum[2 * block] = s.scale * static_cast<float>(lo);
  out.half_sum[2 * block + 1] = s.scale * static_cast<float>(hi);
}

}  // namespace

template <>
void quantize_rows<Level::kAvx2>(const Activations& a, std::byte* out) noexcept {
  for (std::size_t t = 0; t < a.tokens; ++t) {
    const float* x = a.x + t * a.x_stride;
    const QuantizedRow row = quantized_row(out + t * quantized_row_bytes(a.cols), a.cols);
    std::size_t b = 0;
    for (; (b + 1) * kActBlock <= a.cols; ++b) quantize_block(x + b * kActBlock, b, row);
    for (; b < act_blocks(a.cols); ++b) {
      float padded[kActBlock] = {};
      for (std::size_t i = b * kActBlock; i < a.cols; ++i) padded[i - b * kActBlock] = x[i];
      quantize_block(padded, b, row);
    }
  }
}

}  // namespace ra::kernels
