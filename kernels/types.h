// SPDX-License-Identifier: Apache-2.0
// Plain views shared by every module. Accessors are always_inline so that a translation unit built
// with wider -m flags cannot leak an out-of-line copy that the linker keeps for the whole program.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#define RA_ALWAYS_INLINE [[gnu::always_inline]] inline

namespace ra {

// Upper half of an IEEE-754 binary32.
struct bf16 {
  std::uint16_t bits = 0;
};

RA_ALWAYS_INLINE constexpr float to_float(bf16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}
RA_ALWAYS_INLINE constexpr float to_float(float v) { return v; }

// Round to nearest even; NaN stays NaN (quiet bit set).
RA_ALWAYS_INLINE constexpr bf16 to_bf16(float v) {
  const auto u = std::bit_cast<std::uint32_t>(v);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

// Row-major view; `stride` is the distance between rows in elements.
template <class T>
struct MatView {
  T* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;

  MatView() = default;
  RA_ALWAYS_INLINE MatView(T* d, std::size_t r, std::size_t c, std::size_t s)
      : data(d), rows(r), cols(c), stride(s) {}
  RA_ALWAYS_INLINE MatView(T* d, std::size_t r, std::size_t c) : MatView(d, r, c, c) {}

  RA_ALWAYS_INLINE T* row(std::size_t i) const { return data + i * stride; }
  RA_ALWAYS_INLINE MatView row_range(std::size_t first, std::size_t count) const {
    return {data + first * stride, count, cols, stride};
  }
  RA_ALWAYS_INLINE operator MatView<const T>() const { return {data, rows, cols, stride}; }
};

}  // namespace ra
