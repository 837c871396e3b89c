// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "kernels/cpu/amx_tiles.h"
#include "kernels/multiply_peak.h"

namespace ra::kernels {

template <>
double multiply_peak<Level::kAmx>(std::size_t rounds) noexcept {
  const AmxScope amx;  // tiles start at zero
  for (std::size_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return 4.0 * 2 * 16 * 16 * 32;
}

}  // namespace ra::kernels
