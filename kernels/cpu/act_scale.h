// SPDX-License-Identifier: Apache-2.0
// The scale of one block of 16-bit activations, the same at every level.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/gemv.h"

namespace ra::kernels {
namespace {

struct ActScale {
  float scale, inverse;  // x ~ scale * i, i = round(x * inverse)
  bool is_bad;           // a NaN or an infinity: scale NaN, i = 0
};

// max_bits: bits of max |x| over the block.
RA_ALWAYS_INLINE constexpr ActScale act_scale(std::uint32_t max_bits) {
  if (max_bits >= 0x7f800000u) return {std::bit_cast<float>(0x7fc00000u), 0, true};
  const float max = std::bit_cast<float>(max_bits);
  // Below this kActMax / max could overflow; such a block adds nothing that f32 could see.
  if (max < 1e-33f) return {0, 0, false};
  constexpr auto kMax = static_cast<float>(kActMax);
  return {max / kMax, kMax / max, false};
}

}  // namespace
}  // namespace ra::kernels
