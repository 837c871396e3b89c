// SPDX-License-Identifier: Apache-2.0
// Inner products of two vectors, f32 accumulation. The vectors need no alignment.
#pragma once

#include <cstddef>

#include "kernels/level.h"
#include "kernels/types.h"

namespace ra::kernels {

// sum of a[i] * b[i] over i < n; 0 if n = 0.
template <Level L>
float dot(const float* a, const float* b, std::size_t n) noexcept;
template <Level L>
float dot_bf16(const float* a, const bf16* b, std::size_t n) noexcept;

template <>
float dot<Level::kScalar>(const float* a, const float* b, std::size_t n) noexcept;
template <>
float dot<Level::kAvx2>(const float* a, const float* b, std::size_t n) noexcept;
template <>
float dot<Level::kAvx512>(const float* a, const float* b, std::size_t n) noexcept;

template <>
float dot_bf16<Level::kScalar>(const float* a, const bf16* b, std::size_t n) noexcept;
template <>
float dot_bf16<Level::kAvx2>(const float* a, const bf16* b, std::size_t n) noexcept;
template <>
float dot_bf16<Level::kAvx512>(const float* a, const bf16* b, std::size_t n) noexcept;

}  // namespace ra::kernels
