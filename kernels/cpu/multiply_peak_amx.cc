// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/multiply_peak.h"

namespace ra::kernels {
namespace {

// A tile of bf16 between 0.5 and 2 of either sign.
struct alignas(64) Operand {
  std::uint16_t bits[512];

  explicit Operand(std::uint32_t seed) {
    for (std::uint16_t& b : bits) {
      seed = seed * 1664525u + 1013904223u;  // "Numerical Recipes", section 7.1
      b = static_cast<std::uint16_t>((seed >> 31) << 15 | (0x3f00u + (seed >> 16 & 0xffu)));
    }
  }
};

}  // namespace

template <>
double multiply_peak<Level::kAmx>(std::size_t rounds, bool exact_f32) noexcept {
  if (exact_f32) return multiply_peak<Level::kAvx512>(rounds, true);
  const Operand rows(1), next_rows(2), cols(3), next_cols(4);
  const AmxScope amx;
  zero_sums();
  before_tile_loads();
  _tile_loadd(4, rows.bits, 64);
  _tile_loadd(5, next_rows.bits, 64);
  _tile_loadd(6, cols.bits, 64);
  _tile_loadd(7, next_cols.bits, 64);
  for (std::size_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4.0 * 2 * 16 * 16 * 32;
}

}  // namespace ra::kernels
