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

template <int Lane>
RA_ALWAYS_INLINE __m512 lane(__m512 v) {
  return _mm512_permutexvar_ps(_mm512_set1_epi32(Lane), v);
}

// Products and sums round separately below, as in the scalar version.

template <class F, int I>
RA_ALWAYS_INLINE void store_block(__m512i lo, __m512i hi, __m512 scales, float* dst) {
  using U = QuadsOf<F>;
  constexpr bool kSigned = F::kId == Quant::kQ8_0;
  const __m512 d = lane<2 * I>(scales);
  __m512 a = _mm512_mul_ps(d, widen_part<I>(lo, kSigned, U::kOffset));
  __m512 b = _mm512_mul_ps(d, widen_part<I>(hi, kSigned, U::kOffset));
  if constexpr (U::kHasMin) {
    a = _mm512_add_ps(a, lane<2 * I + 1>(scales));
    b = _mm512_add_ps(b, lane<2 * I + 1>(scales));
  }
  _mm512_storeu_ps(dst + 32 * I, a);
  _mm512_storeu_ps(dst + 32 * I + 16, b);
}

template <class F>
void decode_quads(const std::uint8_t* src, float* dst, std::size_t n) {
  std::size_t i = 0;
  for (; i + 128 <= n; i += 128, src += 4 * F::kBytes) {
    const __m512 scales = _mm512_zextps256_ps512(QuadsOf<F>::scales(src));
    __m512i lo, hi;
    QuadsOf<F>::load(src, lo, hi);
    store_block<F, 0>(lo, hi, scales, dst + i);
    store_block<F, 1>(lo, hi, scales, dst + i);
    store_block<F, 2>(lo, hi, scales, dst + i);
    store_block<F, 3>(lo, hi, scales, dst + i);
  }
  if (i < n)
    decode_row<Level::kAvx2>(F::kId, reinterpret_cast<const std::byte*>(src), dst + i, n - i);
}

template <class U, int C, int I>
RA_ALWAYS_INLINE void store_part(__m512i weights, __m512 scales, __m512 mins, float* dst) {
  constexpr int kSub = (4 * C + I) / (U::kSubs == 16 ? 1 : 2);
  __m512 v = _mm512_mul_ps(lane<kSub>(scales), widen_part<I>(weights, false, U::kOffset));
  if constexpr (U::kHasMin) v = _mm512_sub_ps(v, lane<kSub>(mins));
  _mm512_storeu_ps(dst + 64 * C + 16 * I, v);
}

template <class U, int C>
RA_ALWAYS_INLINE void store_chunk(const std::uint8_t* p, __m512 scales, __m512 mins, float* dst) {
  const __m512i weights = U::load(p, C);
  store_part<U, C, 0>(weights, scales, mins, dst);
  store_part<U, C, 1>(weights, scales, mins, dst);
  store_part<U, C, 2>(weights, scales, mins, dst);
  store_part<U, C, 3>(weights, scales, mins, dst);
}

template <class F>
void decode_chunks(const std::uint8_t* src, float* dst, std::size_t n) {
  using U = ChunksOf<F>;
  for (std::size_t i = 0; i < n; i += 256, src += F::kBytes) {
    const __m512 scales = U::scales(src);
    __m512 mins = _mm512_setzero_ps();
    if constexpr (U::kHasMin) mins = U::mins(src);
    store_chunk<U, 0>(src, scales, mins, dst + i);
    store_chunk<U, 1>(src, scales, mins, dst + i);
    store_chunk<U, 2>(src, scales, mins, dst + i);
    store_chunk<U, 3>(src, scales, mins, dst + i);
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
      decode_quads<F>(p, dst, n);
    } else {
      decode_chunks<F>(p, dst, n);
    }
  });
  if (!quantised) decode_floats(type, src, dst, n);
}

}  // namespace ra::kernels
