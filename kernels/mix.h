// SPDX-License-Identifier: Apache-2.0
// Sums for each query of a group: of rows, weighted, and of ranges of numbers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"
#include "kernels/types.h"

namespace ra::kernels {

inline constexpr std::size_t kMixElements = 16;  // widths are multiples of it

// out[g * out_stride + j] += sum over i < n of weights[g * weight_stride + i] * rows[i * dim + j],
// for g < group, j < dim. Products and sums in f32, each element in the order of i.
struct MixArgs {
  const float* weights = nullptr;
  std::size_t weight_stride = 0, group = 0;
  const bf16* rows = nullptr;  // [n, dim]
  std::size_t n = 0, dim = 0;  // dim: a multiple of kMixElements
  float* out = nullptr;
  std::size_t out_stride = 0;
};

template <Level L>
void mix_rows(const MixArgs& a) noexcept;

// out[g * out_stride + t] = sum over first[t] <= i < last[t] of x[g * stride + i], for g < group,
// t < ranges; of empty ranges it stays what it was.
struct RangeArgs {
  const float* x = nullptr;
  std::size_t stride = 0, group = 0;
  const std::uint32_t *first = nullptr, *last = nullptr;  // [ranges]
  std::size_t ranges = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

template <Level L>
void sum_ranges(const RangeArgs& a) noexcept;

template <>
void mix_rows<Level::kScalar>(const MixArgs& a) noexcept;
template <>
void mix_rows<Level::kAvx2>(const MixArgs& a) noexcept;
template <>
void mix_rows<Level::kAvx512>(const MixArgs& a) noexcept;
template <>
void sum_ranges<Level::kScalar>(const RangeArgs& a) noexcept;
template <>
void sum_ranges<Level::kAvx2>(const RangeArgs& a) noexcept;
template <>
void sum_ranges<Level::kAvx512>(const RangeArgs& a) noexcept;

}  // namespace ra::kernels
