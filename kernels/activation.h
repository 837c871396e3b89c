// SPDX-License-Identifier: Apache-2.0
// The gate of a SwiGLU feed-forward block (Shazeer, arXiv 2002.05202).
#pragma once

#include <cstddef>

#include "kernels/level.h"

namespace ra::kernels {

// gate[i] = silu(gate[i]) * up[i] with silu(g) = g / (1 + exp(-g)), i < n. `up` must not overlap.
// The scalar level uses std::exp; the others their own exp within 2 ulp of it. Any finite gate
// gives a finite silu; NaN stays NaN.
template <Level L>
void swiglu(const float* up, float* gate, std::size_t n) noexcept;

template <>
void swiglu<Level::kScalar>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void swiglu<Level::kAvx2>(const float* up, float* gate, std::size_t n) noexcept;
template <>
void swiglu<Level::kAvx512>(const float* up, float* gate, std::size_t n) noexcept;

}  // namespace ra::kernels
