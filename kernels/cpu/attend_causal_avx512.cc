// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/attend.h"
#include "kernels/cpu/causal_f32.h"
#include "kernels/cpu/causal_tiles.h"
#include "kernels/cpu/pairs_avx512.h"
#include "kernels/cpu/simd_avx512.h"

namespace ra::kernels {
namespace {

struct CausalPairs {
  struct Scope {};

  RA_ALWAYS_INLINE static void score(const float* q, std::size_t d, const std::byte* keys,
                                     std::size_t row_bytes, float* s) {
    for (std::size_t i = 0; i < kChunk; i += kPairRows)
      multiply_pairs({.a = keys + i * row_bytes,
                      .a_row = row_bytes,
                      .a_step = 64,
                      .b0 = reinterpret_cast<const std::byte*>(q),
                      .b1 = reinterpret_cast<const std::byte*>(q + 8 * d),
                      .steps = d / 32},
                     s + 16 * i, s + kLaneScores + 16 * i, 16, false);
  }

  RA_ALWAYS_INLINE static void add_values(const float* v, const float* p, std::size_t dv,
                                          float* out) {
    for (std::size_t c = 0; c < dv; c += kPairRows)
      multiply_pairs(
          {.a = reinterpret_cast<const std::byte*>(v + c / 16 * kValueTiles + c % 16 * 16),
           .a_row = 64,
           .a_step = kTileBytes,
           .b0 = reinterpret_cast<const std::byte*>(p),
           .b1 = reinterpret_cast<const std::byte*>(p + kLaneWeights),
           .steps = kChunk / 32},
          out + 16 * c, out + 16 * (dv + c), 16, true);
  }
};

}  // namespace

template <>
void attend_causal<Level::kAvx512>(const CausalArgs& a) noexcept {
  a.exact_f32 ? causal_f32<Simd>(a) : causal_tiles<CausalPairs>(a);
}

}  // namespace ra::kernels
