// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/unpack_avx2.h"
#include "kernels/quant.h"

namespace ra::kernels {
namespace {

template <class U, bool kSigned>
RA_ALWAYS_INLINE void store8(__m128i weights, float scale, float min, float* dst) {
  const __m256i wide = kSigned ? _mm256_cvtepi8_epi32(weights) : _mm256_cvtepu8_epi32(weights);
  const __m256 w = _mm256_cvtepi32_ps(_mm256_sub_epi32(wide, _mm256_set1_epi32(U::kOffset)));
  __m256 v = _mm256_mul_ps(_mm256_set1_ps(scale), w);
  // Rounds separately from the product, as in the scalar version.
  if constexpr (U::kHasMin) v = _mm256_sub_ps(v, _mm256_set1_ps(min));
  _mm256_storeu_ps(dst, v);
}

template <class F>
void decode_blocks(const std::uint8_t* src, float* dst, std::size_t n) {
  using U = SubsOf<F>;
  constexpr bool kSigned = F::kId == Quant::kQ8_0;
  constexpr std::size_t kSubWeights = F::kBlock / U::kSubs;
  float scale[16], min[16] = {};
  for (; n > 0; n -= F::kBlock, src += F::kBytes) {
    U::scales(src, scale);
    if constexpr (U::kHasMin) U::mins(src, min);
    for (std::size_t sub = 0; sub < F::kBlock / 32; ++sub, dst += 32) {
      const __m256i w = U::load(src, sub);
      const __m128i lo = _mm256_castsi256_si128(w), hi = _mm256_extracti128_si256(w, 1);
      const std::size_t a = sub * 32 / kSubWeights, b = (sub * 32 + 16) / kSubWeights;
      store8<U, kSigned>(lo, scale[a], min[a], dst);
      store8<U, kSigned>(_mm_srli_si128(lo, 8), scale[a], min[a], dst + 8);
      store8<U, kSigned>(hi, scale[b], min[b], dst + 16);
      store8<U, kSigned>(_mm_srli_si128(hi, 8), scale[b], min[b], dst + 24);
    }
  }
}

void decode_halves(const std::uint8_t* src, float* dst, std::size_t n) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(load128(src + 2 * i)));
  for (; i < n; ++i) dst[i] = half(src + 2 * i);
}

void decode_bf16(const std::uint8_t* src, float* dst, std::size_t n) {
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i wide = _mm256_cvtepu16_epi32(load128(src + 2 * i));
    _mm256_storeu_ps(dst + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
  }
  for (; i < n; ++i) dst[i] = to_float(bf16{load_as<std::uint16_t>(src + 2 * i)});
}

}  // namespace

template <>
void decode_row<Level::kAvx2>(Quant type, const std::byte* src, float* dst,
                              std::size_t n) noexcept {
  const auto* p = reinterpret_cast<const std::uint8_t*>(src);
  if (visit_format(type, [&]<class F>() { decode_blocks<F>(p, dst, n); })) return;
  if (type == Quant::kF16) {
    decode_halves(p, dst, n);
  } else if (type == Quant::kBF16) {
    decode_bf16(p, dst, n);
  } else if (n > 0) {
    std::memcpy(dst, p, n * sizeof(float));
  }
}

}  // namespace ra::kernels
