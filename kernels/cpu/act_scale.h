// SPDX-License-Identifier: Apache-2.0
// The scale of one block of int8 activations, the same at every level.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/types.h"

namespace ra::kernels {
namespace {

struct ActScale {
  float scale, inverse;  // x ~ scale * q, q = round(x * inverse)
  bool is_bad;           // a NaN or an infinity: scale NaN, q = 0
};

// max_bits: bits of max |x| over the block.
RA_ALWAYS_INLINE ActScale act_scale(std::uint32_t max_bits) {
  if (max_bits >= 0x7f800000u) return {std::bit_cast<float>(0x7fc00000u), 0, true};
  const float max = std::bit_cast<float>(max_bits);
  // Below this 127 / max would overflow; such a block adds nothing that f32 could see.
  if (max < 1e-36f) return {0, 0, false};
  return {max / 127.0f, 127.0f / max, false};
}

}  // namespace
}  // namespace ra::kernels
