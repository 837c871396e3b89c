// SPDX-License-Identifier: Apache-2.0
// The 8-bit product of AVX2 adds pairs of products in 16 bits, a code without a sign with a query
// byte that has one. 4-bit codes are small enough to add up eight pairs there; 8-bit codes give
// their sign to the query first, and each pair is widened. Lane = key in the end, and a block is
// read once for four queries.
#include <immintrin.h>

#include <algorithm>

#include "kernels/codes.h"
#include "kernels/cpu/code_quads.h"
#include "kernels/cpu/encode_query.h"
#include "kernels/cpu/filter_codes.h"
#include "kernels/cpu/score_rule.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr int kMostQueries = 4;     // at a time: their sums stay in registers
constexpr std::size_t kHalves = 2;  // of a block, eight keys each

RA_ALWAYS_INLINE __m256i load(const std::uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Sums of a block with G queries, still with the offset of 4-bit codes.
template <int G>
struct Sums {
  __m256i of[G][kHalves];
};

template <int G>
RA_ALWAYS_INLINE void add_bytes(const std::uint8_t* block, std::size_t rank,
                                const Quads<G, kMostQueries>& quads, Sums<G>& sums) {
  const __m256i offset = _mm256_set1_epi8(-128), one = _mm256_set1_epi16(1);
  for (std::size_t i = 0; i < rank; i += 4, block += kCodeStepBytes) {
    __m256i code[kHalves], size[kHalves];
    for (std::size_t h = 0; h < kHalves; ++h) {
      code[h] = _mm256_xor_si256(load(block + 32 * h), offset);
      size[h] = _mm256_abs_epi8(code[h]);
    }
    RA_UNROLL(4)
    for (std::size_t r = 0; r < G; ++r) {
      const __m256i quad = _mm256_set1_epi32(quads.of[i / 4][r]);
      for (std::size_t h = 0; h < kHalves; ++h) {
        // At most 2 * 128 * 127: no pair saturates.
        const __m256i pairs = _mm256_maddubs_epi16(size[h], _mm256_sign_epi8(quad, code[h]));
        sums.of[r][h] = _mm256_add_epi32(sums.of[r][h], _mm256_madd_epi16(pairs, one));
      }
    }
  }
}

template <int G>
RA_ALWAYS_INLINE void add_halves(const std::uint8_t* block, std::size_t rank,
                                 const Quads<G, kMostQueries>& quads, Sums<G>& sums) {
  constexpr std::size_t kSteps = 4;  // 2 kSteps pairs of at most 2 * 15 * 127 fit into 16 bits
  const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1);
  for (std::size_t i = 0; i < rank;) {
    Sums<G> pairs;
    for (auto& of : pairs.of)
      for (__m256i& v : of) v = _mm256_setzero_si256();
    for (const std::size_t end = std::min(rank, i + 8 * kSteps); i < end;
         i += 8, block += kCodeStepBytes)
      for (std::size_t h = 0; h < kHalves; ++h) {
        const __m256i both = load(block + 32 * h);
        const __m256i first = _mm256_and_si256(both, low),
                      second = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        RA_UNROLL(4)
        for (std::size_t r = 0; r < G; ++r) {
          const __m256i a = _mm256_maddubs_epi16(first, _mm256_set1_epi32(quads.of[i / 4][r]));
          const __m256i b = _mm256_maddubs_epi16(second, _mm256_set1_epi32(quads.of[i / 4 + 1][r]));
          pairs.of[r][h] = _mm256_add_epi16(pairs.of[r][h], _mm256_add_epi16(a, b));
        }
      }
    for (std::size_t r = 0; r < G; ++r)
      for (std::size_t h = 0; h < kHalves; ++h)
        sums.of[r][h] = _mm256_add_epi32(sums.of[r][h], _mm256_madd_epi16(pairs.of[r][h], one));
  }
}

// Queries g .. g + G - 1 with every block.
template <int G, int Bits>
void score_some(const CodeArgs& a, std::size_t g) {
  const std::size_t bytes = code_block_bytes(a.rank, Bits);
  const Quads<G, kMostQueries> quads(a, g);
  const Bases<G> bases(a, g, Bits == 8 ? 0 : 8);
  for (std::size_t j = 0; j < a.n; ++j) {
    const std::uint8_t* block = a.codes + a.block(j) * bytes;
    Sums<G> sums;
    for (std::size_t r = 0; r < G; ++r)
      for (__m256i& v : sums.of[r]) v = _mm256_set1_epi32(-bases.base[r]);
    if constexpr (Bits == 8)
      add_bytes<G>(block, a.rank, quads, sums);
    else
      add_halves<G>(block, a.rank, quads, sums);
    for (std::size_t h = 0; h < kHalves; ++h) {
      const RuledScores<Simd> scores(a, j * kCodeKeys + h * Simd::kLanes);
      for (std::size_t r = 0; r < G; ++r) scores.put(g + r, _mm256_cvtepi32_ps(sums.of[r][h]));
    }
  }
}

template <int Bits>
void score_all(const CodeArgs& a) {
  for (std::size_t g = 0; g < a.group; g += kMostQueries)
    with_count<kMostQueries>(std::min<std::size_t>(kMostQueries, a.group - g),
                             [&]<int G>() { score_some<G, Bits>(a, g); });
}

}  // namespace

template <>
void score_codes<Level::kAvx2>(const CodeArgs& a) noexcept {
  a.bits == 8 ? score_all<8>(a) : score_all<4>(a);
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
