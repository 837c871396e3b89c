// SPDX-License-Identifier: Apache-2.0
#include "lib/store/convert.h"

#include <bit>
#include <cstring>

namespace ra::store {
namespace {

constexpr std::uint32_t kAbs = 0x7fffffffu, kInf = 0x7f800000u;

// Branch-free so that the loops vectorise. Below the smallest normal half (2^-14) an addition of
// 0.5 aligns the value so that the FPU rounds at the subnormal's last bit (F. Giesen's method);
// above, the exponent is rebased by 127 - 15 and 13 mantissa bits are rounded off, ties to even.
inline std::uint16_t half_bits(std::uint32_t u) {
  const std::uint32_t a = u & kAbs;
  const float shifted = std::bit_cast<float>(a) + 0.5f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u;
  const std::uint32_t normal = (a + 0xc8000fffu + ((a >> 13) & 1u)) >> 13;
  const std::uint32_t special = a > kInf ? 0x7e00u : 0x7c00u;
  const std::uint32_t finite = a < 0x38800000u ? subnormal : normal;
  // 65520 and above round to infinity; the caller's rule is to clamp finite values to 65504.
  const std::uint32_t clamped = a >= 0x477ff000u ? 0x7bffu : finite;
  const std::uint32_t bits = a >= kInf ? special : clamped;
  return static_cast<std::uint16_t>(bits | ((u >> 16) & 0x8000u));
}

inline std::uint16_t bf16_bits(std::uint32_t u) {
  const std::uint32_t a = u & kAbs;
  const std::uint32_t rounded = (a + 0x7fffu + ((a >> 16) & 1u)) >> 16;
  const std::uint32_t clamped = rounded >= 0x7f80u ? 0x7f7fu : rounded;
  const std::uint32_t special = a > kInf ? 0x7fc0u : 0x7f80u;
  const std::uint32_t bits = a >= kInf ? special : clamped;
  return static_cast<std::uint16_t>(bits | ((u >> 16) & 0x8000u));
}

// `first_overflow`: bits of the smallest finite |x| that rounds to infinity.
template <class Bits>
Narrowed narrow16(const float* in, std::size_t n, std::uint16_t* out, std::uint32_t first_overflow,
                  Bits&& bits) {
  Narrowed sum;
  for (std::size_t begin = 0; begin < n;) {
    // 32-bit counters inside a bounded block keep the loop in one vector width.
    const std::size_t end = n - begin > 65536 ? begin + 65536 : n;
    std::uint32_t large = 0, not_finite = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const auto u = std::bit_cast<std::uint32_t>(in[i]);
      const std::uint32_t a = u & kAbs;
      large += a >= first_overflow ? 1u : 0u;
      not_finite += a >= kInf ? 1u : 0u;
      out[i] = bits(u);
    }
    sum += {large - not_finite, not_finite};
    begin = end;
  }
  return sum;
}

inline float from_half(std::uint32_t h) {
  const std::uint32_t shifted = (h & 0x7fffu) << 13;
  const std::uint32_t exponent = shifted & 0x0f800000u;
  const std::uint32_t normal = shifted + 0x38000000u;
  const std::uint32_t special = shifted + 0x70000000u;
  // A subnormal is mantissa * 2^-24: give it the exponent -14, then take the implied one away. No
  // operand is an f32 subnormal, so flush-to-zero modes do not matter.
  const float subnormal =
      std::bit_cast<float>(shifted + 0x38800000u) - std::bit_cast<float>(0x38800000u);
  const std::uint32_t finite = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
  const std::uint32_t bits = exponent == 0x0f800000u ? special : finite;
  return std::bit_cast<float>(bits | ((h & 0x8000u) << 16));
}

}  // namespace

Narrowed narrow(DType type, const float* in, std::size_t n, void* out) noexcept {
  switch (type) {
    case DType::kF16:
      return narrow16(in, n, static_cast<std::uint16_t*>(out), 0x477ff000u, half_bits);
    case DType::kBf16:
      return narrow16(in, n, static_cast<std::uint16_t*>(out), 0x7f7f8000u, bf16_bits);
    case DType::kF32:
      break;
  }
  Narrowed sum;
  for (std::size_t i = 0; i < n; ++i)
    sum.not_finite += (std::bit_cast<std::uint32_t>(in[i]) & kAbs) >= kInf ? 1u : 0u;
  if (n > 0) std::memcpy(out, in, n * sizeof(float));
  return sum;
}

void widen(DType type, const void* in, std::size_t n, float* out) noexcept {
  const auto* words = static_cast<const std::uint16_t*>(in);
  switch (type) {
    case DType::kF16:
      for (std::size_t i = 0; i < n; ++i) out[i] = from_half(words[i]);
      return;
    case DType::kBf16:
      for (std::size_t i = 0; i < n; ++i)
        out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(words[i]) << 16);
      return;
    case DType::kF32:
      if (n > 0) std::memcpy(out, in, n * sizeof(float));
  }
}

}  // namespace ra::store
