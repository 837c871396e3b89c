// SPDX-License-Identifier: Apache-2.0
// The gates of gated feed-forward blocks (Shazeer, arXiv 2002.05202).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

enum class Activation : std::uint8_t { kSilu, kGelu };

// gate[i] = silu(gate[i]) * up[i] with silu(g) = g / (1 + exp(-g)), i < n. `up` must not overlap.
// The scalar level uses std::exp; the others their own exp within 2 ulp of it. Any finite gate
// gives a finite silu; NaN stays NaN.
template <Level L>
void swiglu(const float* up, float* gate, std::size_t n) noexcept;
// The same with gelu in its tanh form (Hendrycks and Gimpel, arXiv 1606.08415) for silu:
// g / 2 * (1 + tanh(z)) = g / (1 + exp(-2 z)), z = sqrt(2 / pi) * (g + 0.044715 g^3).
template <Level L>
void geglu(const float* up, float* gate, std::size_t n) noexcept;

template <>
void swiglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void swiglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void swiglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void geglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void geglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void geglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept;

// 2 * sqrt(2 / pi), and the cubic term of gelu.
inline constexpr float kGeluSlope = 1.5957691216f, kGeluCubic = 0.044715f;

}  // namespace ra::kernels
