// SPDX-License-Identifier: Apache-2.0
// A step of 64 bytes is multiplied with four query bytes at once (VNNI): lane = key, so that the
// sums need no reduction, and a block is read once for eight queries, whose sums are compared with
// floors where they are, in registers.
#include <immintrin.h>

#include <algorithm>

#include "kernels/codes.h"
#include "kernels/cpu/code_quads.h"
#include "kernels/cpu/encode_query.h"
#include "kernels/cpu/filter_codes.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/score_rule.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kAhead = 8;  // blocks fetched before their use
constexpr int kMostQueries = 8;    // at a time: their sums stay in registers

// Sums of a block with G queries, still with the offset of the codes.
template <int G>
struct Sums {
  __m512i of[G];
};
constexpr int offset_of(int bits) { return bits == 8 ? 128 : 8; }

// Queries g .. g + G - 1 with every block, a few blocks at a time: their sums do not wait for one
// another, and a quad of query bytes is read once for all. take(j, sums) is called block by block.
template <int G, int Bits, class Take>
RA_ALWAYS_INLINE void score_tile(const CodeArgs& a, std::size_t g, const Take& take) {
  constexpr std::size_t kStep = 32 / Bits;  // coordinates of a step
  constexpr std::size_t kBlocks = G <= 3 ? 4 : 2;
  const std::size_t bytes = code_block_bytes(a.rank, Bits);
  const Quads<G, kMostQueries> quads(a, g);
  const __m512i low = _mm512_set1_epi8(15);
  for (std::size_t j = 0; j < a.n; j += kBlocks) {
    const auto block_at = [&](std::size_t at) { return a.codes + a.block(at) * bytes; };
    const std::uint8_t* block[kBlocks];  // the last one again where some are missing
    Sums<G> sums[kBlocks];
    RA_UNROLL(4)
    for (std::size_t b = 0; b < kBlocks; ++b) {
      block[b] = block_at(std::min(j + b, a.n - 1));
      const std::uint8_t* later = block_at(std::min(j + b + kAhead, a.n - 1));
      for (std::size_t i = 0; i < bytes; i += kCodeStepBytes)
        _mm_prefetch(reinterpret_cast<const char*>(later + i), _MM_HINT_T0);
      RA_UNROLL(8)
      for (__m512i& v : sums[b].of) v = _mm512_setzero_si512();
    }
    for (std::size_t i = 0; i < a.rank; i += kStep) {
      __m512i v[kBlocks];
      RA_UNROLL(4)
      for (std::size_t b = 0; b < kBlocks; ++b)
        v[b] = _mm512_loadu_si512(block[b] + i / kStep * kCodeStepBytes);
      const auto add = [&](std::size_t from, const __m512i* codes) __attribute__((always_inline)) {
        RA_UNROLL(8)
        for (std::size_t r = 0; r < G; ++r) {
          const __m512i quad = _mm512_set1_epi32(quads.of[from / 4][r]);
          RA_UNROLL(4)
          for (std::size_t b = 0; b < kBlocks; ++b)
            sums[b].of[r] = _mm512_dpbusd_epi32(sums[b].of[r], codes[b], quad);
        }
      };
      if constexpr (Bits == 8) {
        add(i, v);
      } else {
        __m512i half[kBlocks];
        RA_UNROLL(4)
        for (std::size_t b = 0; b < kBlocks; ++b) half[b] = _mm512_and_si512(v[b], low);
        add(i, half);
        RA_UNROLL(4)
        for (std::size_t b = 0; b < kBlocks; ++b)
          half[b] = _mm512_and_si512(_mm512_srli_epi16(v[b], 4), low);
        add(i + 4, half);
      }
    }
    RA_UNROLL(4)
    for (std::size_t b = 0; b < kBlocks; ++b)
      if (j + b < a.n) take(j + b, sums[b]);
  }
}

template <int G, int Bits>
void score_some(const CodeArgs& a, std::size_t g) {
  const Bases<G> bases(a, g, offset_of(Bits));
  score_tile<G, Bits>(a, g, [&](std::size_t j, const Sums<G>& sums) {
    const RuledScores<Simd> scores(a, j * kCodeKeys);
    RA_UNROLL(8)
    for (std::size_t r = 0; r < G; ++r)
      scores.put(g + r, _mm512_cvtepi32_ps(
                            _mm512_sub_epi32(sums.of[r], _mm512_set1_epi32(bases.base[r]))));
  });
}

// The group is G. Sums are compared as they are, with floors that hold the offset.
template <int G, int Bits>
std::size_t filter(const CodeArgs& a, const float* floors, std::uint32_t* rows) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  Bases<G> least(a, 0, offset_of(Bits));
  for (std::size_t r = 0; r < G; ++r) least.base[r] += whole_floor<Level::kAvx512>(floors[r]);
  std::size_t count = 0;
  score_tile<G, Bits>(a, 0, [&](std::size_t j, const Sums<G>& sums) {
    unsigned hits = 0;
    RA_UNROLL(8)
    for (std::size_t r = 0; r < G; ++r)
      hits |= _mm512_cmpge_epi32_mask(sums.of[r], _mm512_set1_epi32(least.base[r]));
    if (hits == 0) return;
    const __m512i at =
        _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(a.block(j) * kCodeKeys)));
    count += store_lanes(rows + count, static_cast<__mmask16>(hits), at);
  });
  return count;
}

template <int Bits>
void score_all(const CodeArgs& a) {
  for (std::size_t g = 0; g < a.group; g += kMostQueries)
    with_count<kMostQueries>(std::min<std::size_t>(kMostQueries, a.group - g),
                             [&]<int G>() { score_some<G, Bits>(a, g); });
}

template <int Bits>
std::size_t filter_group(const CodeArgs& a, const float* floors, std::uint32_t* rows) {
  std::size_t count = 0;
  with_count<kMostQueries>(a.group, [&]<int G>() { count = filter<G, Bits>(a, floors, rows); });
  return count;
}

}  // namespace

template <>
void score_codes<Level::kAvx512>(const CodeArgs& a) noexcept {
  a.bits == 8 ? score_all<8>(a) : score_all<4>(a);
}

template <>
std::size_t codes_at_least<Level::kAvx512>(const CodeArgs& a, const float* floors,
                                           std::uint32_t* rows) noexcept {
  if (a.group <= kMostQueries)
    return a.bits == 8 ? filter_group<8>(a, floors, rows) : filter_group<4>(a, floors, rows);
  return filter_scores<Level::kAvx512>(a, floors, rows, [](const float* scores, float floor) {
    return unsigned{_mm512_cmp_ps_mask(_mm512_load_ps(scores), _mm512_set1_ps(floor), _CMP_GE_OQ)};
  });
}

template <>
float encode_query<Level::kAvx512>(const float* y, std::size_t n, std::int8_t* out) noexcept {
  return encode_query_plain(y, n, out);
}

}  // namespace ra::kernels
