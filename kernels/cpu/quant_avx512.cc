// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/unpack_avx512.h"
#include "kernels/quant.h"

namespace ra::kernels {
namespace {

template <int Part>
RA_ALWAYS_INLINE __m512 widen_part(__m512i weights, bool is_signed, int offset) {
  const __m128i bytes = _mm512_extracti32x4_epi32(weights, Part);
  const __m512i wide = is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(wide, _mm512_set1_epi32(offset)));
}

// Weights 16 * i .. of the vector get scale[i] and min[i]. Multiplication and subtraction round
// separately, as in the scalar version.
template <class U, bool kSigned>
RA_ALWAYS_INLINE void store64(__m512i weights, const __m512 (&scale)[4], const __m512 (&min)[4],
                              float* dst) {
  const __m512 w[4] = {
      widen_part<0>(weights, kSigned, U::kOffset), widen_part<1>(weights, kSigned, U::kOffset),
      widen_part<2>(weights, kSigned, U::kOffset), widen_part<3>(weights, kSigned, U::kOffset)};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    __m512 v = _mm512_mul_ps(scale[i], w[i]);
    if constexpr (U::kHasMin) v = _mm512_sub_ps(v, min[i]);
    _mm512_storeu_ps(dst + 16 * i, v);
  }
}

template <int Lane>
RA_ALWAYS_INLINE __m512 lane(__m512 v) {
  return _mm512_permutexvar_ps(_mm512_set1_epi32(Lane), v);
}

template <class F>
void decode_pairs(const std::uint8_t* src, float* dst, std::size_t n) {
  using U = PairsOf<F>;
  std::size_t i = 0;
  for (; i + 64 <= n; i += 64, src += 2 * F::kBytes) {
    const std::uint8_t* next = src + F::kBytes;
    const __m512 a = broadcast_half(src), b = broadcast_half(next);
    __m512 min[4];
    if constexpr (U::kHasMin) {
      const __m512 m = U::mins(src, next);
      min[0] = min[1] = lane<0>(m);
      min[2] = min[3] = lane<8>(m);
    }
    store64<U, F::kId == Quant::kQ8_0>(U::load(src, next), {a, a, b, b}, min, dst + i);
  }
  if (i < n)
    decode_row<Level::kAvx2>(F::kId, reinterpret_cast<const std::byte*>(src), dst + i, n - i);
}

template <class U, int C>
RA_ALWAYS_INLINE void decode_chunk(const std::uint8_t* p, __m512 scales, __m512 mins, float* dst) {
  constexpr int kStep = U::kSubs == 16 ? 1 : 2;  // groups of 16 weights per sub-block
  const __m512 scale[4] = {lane<(4 * C) / kStep>(scales), lane<(4 * C + 1) / kStep>(scales),
                           lane<(4 * C + 2) / kStep>(scales), lane<(4 * C + 3) / kStep>(scales)};
  __m512 min[4];
  if constexpr (U::kHasMin) {
    min[0] = lane<(4 * C) / kStep>(mins);
    min[1] = lane<(4 * C + 1) / kStep>(mins);
    min[2] = lane<(4 * C + 2) / kStep>(mins);
    min[3] = lane<(4 * C + 3) / kStep>(mins);
  }
  store64<U, false>(U::load(p, C), scale, min, dst + 64 * C);
}

template <class F>
void decode_chunks(const std::uint8_t* src, float* dst, std::size_t n) {
  using U = ChunksOf<F>;
  for (std::size_t i = 0; i < n; i += 256, src += F::kBytes) {
    const __m512 scales = U::scales(src);
    __m512 mins = _mm512_setzero_ps();
    if constexpr (U::kHasMin) mins = U::mins(src);
    decode_chunk<U, 0>(src, scales, mins, dst + i);
    decode_chunk<U, 1>(src, scales, mins, dst + i);
    decode_chunk<U, 2>(src, scales, mins, dst + i);
    decode_chunk<U, 3>(src, scales, mins, dst + i);
  }
}

void decode_floats(Quant type, const std::byte* src, float* dst, std::size_t n) {
  for (std::size_t i = 0; i < n; i += 16) {
    const __mmask16 m = first_lanes(n - i);
    __m512 v;
    if (type == Quant::kF32) {
      v = _mm512_maskz_loadu_ps(m, src + 4 * i);
    } else {
      const __m256i h = _mm256_maskz_loadu_epi16(m, src + 2 * i);
      v = type == Quant::kF16 ? _mm512_cvtph_ps(h) : widen(h);
    }
    _mm512_mask_storeu_ps(dst + i, m, v);
  }
}

}  // namespace

template <>
void decode_row<Level::kAvx512>(Quant type, const std::byte* src, float* dst,
                                std::size_t n) noexcept {
  const bool quantised = visit_format(type, [&]<class F>() {
    const auto* p = reinterpret_cast<const std::uint8_t*>(src);
    if constexpr (F::kBlock == 32) {
      decode_pairs<F>(p, dst, n);
    } else {
      decode_chunks<F>(p, dst, n);
    }
  });
  if (!quantised) decode_floats(type, src, dst, n);
}

}  // namespace ra::kernels
