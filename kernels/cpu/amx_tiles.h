// SPDX-License-Identifier: Apache-2.0
// AMX tile plumbing for the sources built with the amx flags only. A tile is 16 rows of 64 bytes.
// TDPBF16PS: C [16, 16] f32 += A [16, 32] bf16 * B [32, 16] bf16, tiles as in bf16_tiles.h.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/bf16_tiles.h"
#include "kernels/types.h"

namespace ra::kernels {
namespace {

// Configures the eight tiles of this thread for its lifetime, 16 rows each, or fewer in the first
// `short_tiles` of them. Libraries change the configuration, and a thread that keeps it pays for
// 8 KiB more at every context switch.
class AmxScope {
 public:
  explicit AmxScope(std::size_t short_tiles = 0, std::uint8_t short_rows = 16) {
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    for (std::size_t i = 0; i < short_tiles; ++i) config.rows[i] = short_rows;
    // g++ 12 does not see that the intrinsic reads the structure.
    asm volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
  }
  ~AmxScope() { _tile_release(); }
  AmxScope(const AmxScope&) = delete;
  AmxScope& operator=(const AmxScope&) = delete;
};

// g++ 12's tile loads do not say that they read memory: without this, a store may move past them.
RA_ALWAYS_INLINE void before_tile_loads() { asm volatile("" : : : "memory"); }

RA_ALWAYS_INLINE void zero_sums() {  // tiles 0..3
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// What gemm_tiles.h and gemm_gated_tiles.h multiply with.
struct AmxUnit {
  using Scope = AmxScope;
  RA_ALWAYS_INLINE static void before_products() { before_tile_loads(); }

  // C = (add ? C : 0) + A * B.
  RA_ALWAYS_INLINE static void multiply(const TileQuad& q, bool add) {
    const std::size_t row = 4 * q.stride;
    if (add) {
      before_tile_loads();
      _tile_loadd(0, q.c[0][0], row);
      _tile_loadd(1, q.c[0][1], row);
      _tile_loadd(2, q.c[1][0], row);
      _tile_loadd(3, q.c[1][1], row);
    } else {
      zero_sums();
    }
    const std::byte *a0 = q.a[0], *a1 = q.a[1], *b0 = q.b[0], *b1 = q.b[1];
    for (std::size_t k = 0; k < q.steps; ++k) {
      _tile_loadd(4, a0, 64);
      _tile_loadd(6, b0, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, b1, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a1, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      a0 += kTileBytes, a1 += kTileBytes, b0 += kTileBytes, b1 += kTileBytes;
    }
    _tile_stored(0, q.c[0][0], row);
    _tile_stored(1, q.c[0][1], row);
    _tile_stored(2, q.c[1][0], row);
    _tile_stored(3, q.c[1][1], row);
  }
};

}  // namespace
}  // namespace ra::kernels
