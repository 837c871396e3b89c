// SPDX-License-Identifier: Apache-2.0
// Codes are widened to 16 bits: the 8-bit product of AVX2 saturates. A vector holds four keys, two
// sums each.
#include <immintrin.h>

#include <cstring>

#include "kernels/codes.h"
#include "kernels/cpu/encode_query.h"
#include "kernels/cpu/filter_codes.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kParts = 4;  // of 4 keys

// q[0..4) as 16-bit lanes, four times.
RA_ALWAYS_INLINE __m256i four_of(const std::int8_t* q) {
  int quad;
  std::memcpy(&quad, q, 4);
  return _mm256_cvtepi8_epi16(_mm_set1_epi32(quad));
}

RA_ALWAYS_INLINE __m256i widen(const std::uint8_t* p) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

template <int Bits>
RA_ALWAYS_INLINE void score_block(const CodeArgs& a, const std::uint8_t* block,
                                  const std::int8_t* q, float* out) {
  const __m256i offset = _mm256_set1_epi16(Bits == 8 ? 128 : 8), low = _mm256_set1_epi16(15);
  __m256i sum[kParts];
  for (__m256i& s : sum) s = _mm256_setzero_si256();
  for (std::size_t i = 0; i < a.rank; i += 32 / Bits, block += kCodeStepBytes)
    for (std::size_t p = 0; p < kParts; ++p) {
      const __m256i v = widen(block + 16 * p);
      if constexpr (Bits == 8) {
        sum[p] = _mm256_add_epi32(sum[p],
                                  _mm256_madd_epi16(_mm256_sub_epi16(v, offset), four_of(q + i)));
      } else {
        const __m256i lo = _mm256_sub_epi16(_mm256_and_si256(v, low), offset);
        const __m256i hi = _mm256_sub_epi16(_mm256_srli_epi16(v, 4), offset);
        sum[p] = _mm256_add_epi32(sum[p], _mm256_madd_epi16(lo, four_of(q + i)));
        sum[p] = _mm256_add_epi32(sum[p], _mm256_madd_epi16(hi, four_of(q + i + 4)));
      }
    }
  for (std::size_t p = 0; p < kParts; p += 2) {
    const __m256i keys = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[p], sum[p + 1]), 0xd8);
    _mm256_storeu_ps(out + 4 * p, _mm256_cvtepi32_ps(keys));
  }
}

}  // namespace

template <>
void score_codes<Level::kAvx2>(const CodeArgs& a) noexcept {
  const std::size_t bytes = code_block_bytes(a.rank, a.bits);
  for (std::size_t j = 0; j < a.n; ++j) {
    const std::uint8_t* block = a.codes + (a.blocks != nullptr ? a.blocks[j] : a.first + j) * bytes;
    for (std::size_t g = 0; g < a.group; ++g) {
      const std::int8_t* q = a.q + g * a.q_stride;
      float* out = a.out + g * a.out_stride + j * kCodeKeys;
      a.bits == 8 ? score_block<8>(a, block, q, out) : score_block<4>(a, block, q, out);
    }
  }
}

template <>
std::size_t codes_at_least<Level::kAvx2>(const CodeArgs& a, const float* floors,
                                         std::uint32_t* rows) noexcept {
  return filter_scores<Level::kAvx2>(a, floors, rows, [](const float* scores, float floor) {
    const __m256 f = _mm256_set1_ps(floor);
    const auto low = static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(scores), f, _CMP_GE_OQ)));
    const auto high = static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(scores + 8), f, _CMP_GE_OQ)));
    return high << 8 | low;
  });
}

template <>
float encode_query<Level::kAvx2>(const float* y, std::size_t n, std::int8_t* out) noexcept {
  return encode_query_plain(y, n, out);
}

}  // namespace ra::kernels
