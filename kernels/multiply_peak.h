// SPDX-License-Identifier: Apache-2.0
// The compute limit beside a matrix product: multiply-adds at the highest rate of a level, with
// every operand in a register. Tiles hold numbers with random bits: a CPU at its power limit
// multiplies tiles of zeros twice as fast. Vectors hold constants.
#pragma once

#include <cstddef>

#include "kernels/level.h"

namespace ra::kernels {

// Runs `rounds` rounds on the calling thread; returns the floating-point operations of one round
// (2 per multiply-add). In the numbers that a level multiplies matrices in: bf16 with f32 sums at
// avx512 and amx, else f32; or with `exact_f32` f32 at every level.
template <Level L>
double multiply_peak(std::size_t rounds, bool exact_f32) noexcept;
template <>
double multiply_peak<Level::kScalar>(std::size_t rounds, bool exact_f32) noexcept;
template <>
double multiply_peak<Level::kAvx2>(std::size_t rounds, bool exact_f32) noexcept;
template <>
double multiply_peak<Level::kAvx512>(std::size_t rounds, bool exact_f32) noexcept;
template <>
double multiply_peak<Level::kAmx>(std::size_t rounds, bool exact_f32) noexcept;

}  // namespace ra::kernels
