// SPDX-License-Identifier: Apache-2.0
// Inner products of the query heads that share a KV head with many of its keys.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attend.h"
#include "kernels/level.h"

namespace ra::kernels {

// out[g * out_stride + j] = q row g . key row (ids ? ids[j] : first + j), for g < group, j < n.
// Products and sums in f32. Each key is read from memory once for the whole group; gathered rows
// are prefetched ahead of their use.
struct ScoreArgs {
  const float* q = nullptr;  // [group, dim], rows q_stride apart
  std::size_t q_stride = 0, group = 0, dim = 0;
  const void* keys = nullptr;  // rows of `type`, key_stride elements apart
  KvType type = KvType::kF32;
  std::size_t key_stride = 0;
  const std::uint32_t* ids = nullptr;  // [n] rows to score, or null: rows first..first+n
  std::size_t first = 0, n = 0;
  float* out = nullptr;  // [group, n], rows out_stride apart
  std::size_t out_stride = 0;
};

template <Level L>
void score(const ScoreArgs& a) noexcept;

template <>
void score<Level::kScalar>(const ScoreArgs& a) noexcept;
template <>
void score<Level::kAvx2>(const ScoreArgs& a) noexcept;
template <>
void score<Level::kAvx512>(const ScoreArgs& a) noexcept;
template <>
void score<Level::kAmx>(const ScoreArgs& a) noexcept;

}  // namespace ra::kernels
