// SPDX-License-Identifier: Apache-2.0
// A step of 64 bytes is multiplied with four query bytes at once (VNNI): lane = key, so that the
// sums need no reduction, and a block is read once for eight queries.
#include <immintrin.h>

#include <cstring>

#include "kernels/codes.h"
#include "kernels/cpu/encode_query.h"
#include "kernels/cpu/filter_codes.h"
#include "kernels/cpu/unroll.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

constexpr std::size_t kAhead = 4;  // blocks fetched before their use

RA_ALWAYS_INLINE __m512i four_of(const std::int8_t* q) {
  int quad;
  std::memcpy(&quad, q, 4);
  return _mm512_set1_epi32(quad);
}

// Queries g .. g + G - 1 with every block.
template <int G, int Bits>
void score_tile(const CodeArgs& a, std::size_t g) {
  constexpr std::size_t kStep = 32 / Bits;                      // coordinates of a step
  constexpr std::size_t kChains = G == 1 ? 4 : G <= 3 ? 2 : 1;  // sums that do not wait for another
  const std::size_t bytes = code_block_bytes(a.rank, Bits);
  const std::int8_t* q = a.q + g * a.q_stride;
  int base[G];  // what the offset of the codes adds
  for (int r = 0; r < G; ++r) {
    base[r] = 0;
    for (std::size_t i = 0; i < a.rank; ++i)
      base[r] += (Bits == 8 ? 128 : 8) * q[static_cast<std::size_t>(r) * a.q_stride + i];
  }
  const __m512i low = _mm512_set1_epi8(15);
  for (std::size_t j = 0; j < a.n; ++j) {
    if (a.blocks != nullptr && j + kAhead < a.n)
      for (std::size_t i = 0; i < bytes; i += kCodeStepBytes)
        _mm_prefetch(reinterpret_cast<const char*>(a.codes + a.blocks[j + kAhead] * bytes + i),
                     _MM_HINT_T0);
    const std::uint8_t* block = a.codes + (a.blocks != nullptr ? a.blocks[j] : a.first + j) * bytes;
    __m512i sum[G][kChains];
    for (auto& chains : sum)
      for (__m512i& v : chains) v = _mm512_setzero_si512();
    const auto add = [&](std::size_t i, std::size_t chain) __attribute__((always_inline)) {
      const __m512i v = _mm512_loadu_si512(block + i / kStep * kCodeStepBytes);
      RA_UNROLL(8)
      for (int r = 0; r < G; ++r) {
        const std::int8_t* quad = q + static_cast<std::size_t>(r) * a.q_stride + i;
        __m512i& to = sum[r][chain];
        if constexpr (Bits == 8) {
          to = _mm512_dpbusd_epi32(to, v, four_of(quad));
        } else {
          const __m512i high = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
          to = _mm512_dpbusd_epi32(to, _mm512_and_si512(v, low), four_of(quad));
          to = _mm512_dpbusd_epi32(to, high, four_of(quad + 4));
        }
      }
    };
    std::size_t i = 0;
    for (; i + kStep * kChains <= a.rank; i += kStep * kChains) {
      RA_UNROLL(4)
      for (std::size_t c = 0; c < kChains; ++c) add(i + c * kStep, c);
    }
    for (; i < a.rank; i += kStep) add(i, 0);
    RA_UNROLL(8)
    for (int r = 0; r < G; ++r) {
      __m512i all = _mm512_set1_epi32(-base[r]);
      for (const __m512i v : sum[r]) all = _mm512_add_epi32(all, v);
      _mm512_storeu_ps(a.out + (g + static_cast<std::size_t>(r)) * a.out_stride + j * kCodeKeys,
                       _mm512_cvtepi32_ps(all));
    }
  }
}

// The last queries, fewer than 8.
template <int Bits, int G = 7>
void score_rest(const CodeArgs& a, std::size_t g) {
  if constexpr (G > 0) a.group - g == G ? score_tile<G, Bits>(a, g) : score_rest<Bits, G - 1>(a, g);
}

template <int Bits>
void score_all(const CodeArgs& a) {
  std::size_t g = 0;
  for (; g + 8 <= a.group; g += 8) score_tile<8, Bits>(a, g);
  score_rest<Bits>(a, g);
}

}  // namespace

template <>
void score_codes<Level::kAvx512>(const CodeArgs& a) noexcept {
  a.bits == 8 ? score_all<8>(a) : score_all<4>(a);
}

template <>
std::size_t codes_at_least<Level::kAvx512>(const CodeArgs& a, const float* floors,
                                           std::uint32_t* rows) noexcept {
  return filter_scores<Level::kAvx512>(a, floors, rows, [](const float* scores, float floor) {
    return unsigned{_mm512_cmp_ps_mask(_mm512_load_ps(scores), _mm512_set1_ps(floor), _CMP_GE_OQ)};
  });
}

template <>
float encode_query<Level::kAvx512>(const float* y, std::size_t n, std::int8_t* out) noexcept {
  return encode_query_plain(y, n, out);
}

}  // namespace ra::kernels
