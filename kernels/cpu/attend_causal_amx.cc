// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstddef>

#include "kernels/attend.h"
#include "kernels/cpu/amx_tiles.h"
#include "kernels/cpu/causal_tiles.h"

namespace ra::kernels {
namespace {

// Tile loads and stores cost as much as the products (a load 8 cycles, 20 from the second-level
// cache, a store 16), so what two row tiles share stays in four tiles, and K or V^T passes by.
struct CausalAmx {
  using Scope = AmxScope;

  // 64 dimensions of Q^T at a time.
  RA_ALWAYS_INLINE static void score(const float* q, std::size_t d, const std::byte* keys,
                                     std::size_t row_bytes, float* s) {
    before_tile_loads();
    for (std::size_t c = 0; c < d; c += 64)
      c + 64 <= d ? score_dims<2>(q + 8 * c, 8 * d, keys + 2 * c, row_bytes, s, c > 0)
                  : score_dims<1>(q + 8 * c, 8 * d, keys + 2 * c, row_bytes, s, c > 0);
  }

  // A value tile at a time against P^T.
  RA_ALWAYS_INLINE static void add_values(const float* v, const float* p, std::size_t dv,
                                          float* out) {
    before_tile_loads();
    const std::size_t next_lanes = 16 * dv;
    _tile_loadd(4, p, 64);
    _tile_loadd(5, p + kLaneWeights, 64);
    _tile_loadd(6, p + 256, 64);
    _tile_loadd(7, p + kLaneWeights + 256, 64);
    for (std::size_t c = 0; c < dv / 16; ++c) {
      _tile_loadd(2, v + c * kValueTiles, 64);
      _tile_loadd(3, v + c * kValueTiles + 256, 64);
      _tile_loadd(0, out + 256 * c, 64);
      _tile_dpbf16ps(0, 2, 4);
      _tile_dpbf16ps(0, 3, 6);
      _tile_stored(0, out + 256 * c, 64);
      _tile_loadd(1, out + next_lanes + 256 * c, 64);
      _tile_dpbf16ps(1, 2, 5);
      _tile_dpbf16ps(1, 3, 7);
      _tile_stored(1, out + next_lanes + 256 * c, 64);
    }
  }

 private:
  template <int kSteps>  // of 32 dimensions
  RA_ALWAYS_INLINE static void score_dims(const float* q, std::size_t next_lanes,
                                          const std::byte* keys, std::size_t row_bytes, float* s,
                                          bool add) {
    _tile_loadd(4, q, 64);
    _tile_loadd(5, q + next_lanes, 64);
    if constexpr (kSteps == 2) {
      _tile_loadd(6, q + 256, 64);
      _tile_loadd(7, q + next_lanes + 256, 64);
    }
    for (std::size_t i = 0; i < kChunk / 16; ++i) {
      const std::byte* rows = keys + 16 * i * row_bytes;
      float* to = s + 256 * i;
      _tile_loadd(2, rows, row_bytes);
      if constexpr (kSteps == 2) _tile_loadd(3, rows + 64, row_bytes);
      if (add)
        _tile_loadd(0, to, 64);
      else
        _tile_zero(0);
      _tile_dpbf16ps(0, 2, 4);
      if constexpr (kSteps == 2) _tile_dpbf16ps(0, 3, 6);
      _tile_stored(0, to, 64);
      if (add)
        _tile_loadd(1, to + kLaneScores, 64);
      else
        _tile_zero(1);
      _tile_dpbf16ps(1, 2, 5);
      if constexpr (kSteps == 2) _tile_dpbf16ps(1, 3, 7);
      _tile_stored(1, to + kLaneScores, 64);
    }
    before_tile_loads();
  }
};

}  // namespace

template <>
void attend_causal<Level::kAmx>(const CausalArgs& a) noexcept {
  a.exact_f32 ? attend_causal<Level::kAvx512>(a) : causal_tiles<CausalAmx>(a);
}

}  // namespace ra::kernels
