// SPDX-License-Identifier: Apache-2.0
// Random blocks of a GGUF weight format, all bits used, with scales as in real models.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/quant.h"
#include "tests/support/random.h"

namespace ra::testing {

// Where the f16 scales of a block lie (F32, F16, BF16: the value itself).
inline std::vector<std::size_t> scale_offsets(kernels::Quant id) {
  using enum kernels::Quant;
  switch (id) {
    case kQ4_1:
    case kQ5_1:
    case kQ4_K:
    case kQ5_K:
      return {0, 2};
    case kQ2_K:
      return {80, 82};
    case kQ3_K:
      return {108};
    case kQ6_K:
      return {208};
    default:
      return {0};
  }
}

// Nearest f16 towards zero; |v| <= 65504, infinite or NaN; subnormal results become 0.
inline std::uint16_t half_bits(float v) {
  const auto u = std::bit_cast<std::uint32_t>(v);
  const auto sign = static_cast<std::uint16_t>((u >> 16) & 0x8000u);
  if (std::isnan(v)) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (std::isinf(v)) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (std::fabs(v) < 0x1p-14f) return sign;
  return static_cast<std::uint16_t>(sign | (((u & 0x7fffffffu) >> 13) - (112u << 10)));
}

inline void set_scale(kernels::Quant id, std::byte* at, float value) {
  if (id == kernels::Quant::kF32) {
    std::memcpy(at, &value, sizeof value);
  } else {
    const std::uint16_t h = id == kernels::Quant::kBF16 ? to_bf16(value).bits : half_bits(value);
    std::memcpy(at, &h, sizeof h);
  }
}

inline std::vector<std::byte> random_blocks(const kernels::QuantInfo& info, std::size_t count,
                                            std::uint64_t seed) {
  auto raw = random_bytes(count * info.block_bytes, seed);
  Rng rng(seed, 1);
  for (std::size_t b = 0; b < count; ++b)
    for (const std::size_t offset : scale_offsets(info.id))
      set_scale(info.id, raw.data() + b * info.block_bytes + offset,
                static_cast<float>(0.02 * rng.normal()));
  return raw;
}

}  // namespace ra::testing
