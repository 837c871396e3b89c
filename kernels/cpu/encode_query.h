// SPDX-License-Identifier: Apache-2.0
// A loop that the compiler turns into the lanes of the level whose source includes it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/types.h"

namespace ra::kernels {
namespace {

RA_ALWAYS_INLINE float encode_query_plain(const float* y, std::size_t n, std::int8_t* out) {
  // Magnitudes rise with their bits, and those of what is not finite are the largest.
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < n; ++i)
    bits = std::max(bits, std::bit_cast<std::uint32_t>(y[i]) & 0x7fffffffu);
  const float largest = std::bit_cast<float>(bits);
  if (bits == 0 || bits >= 0x7f800000u) {
    std::fill_n(out, n, std::int8_t{0});
    return 0;
  }
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float scale = 127 / largest;
  for (std::size_t i = 0; i < n; ++i)
    out[i] = static_cast<std::int8_t>(static_cast<int>((y[i] * scale + kRound) - kRound));
  return largest / 127;
}

}  // namespace
}  // namespace ra::kernels
