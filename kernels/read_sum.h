// SPDX-License-Identifier: Apache-2.0
// The memory limit beside a kernel: loads of the widest kind of a level and next to no arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/level.h"

namespace ra::kernels {

// Sum of p[0..n) modulo 2^64, each number read once, in order. p is aligned to 64 bytes. AMX has no
// loads of its own that end in a sum: it reads as AVX-512.
template <Level L>
std::uint64_t read_sum(const std::uint64_t* p, std::size_t n) noexcept;
template <>
std::uint64_t read_sum<Level::kScalar>(const std::uint64_t* p, std::size_t n) noexcept;
template <>
std::uint64_t read_sum<Level::kAvx2>(const std::uint64_t* p, std::size_t n) noexcept;
template <>
std::uint64_t read_sum<Level::kAvx512>(const std::uint64_t* p, std::size_t n) noexcept;

// Of a level of this CPU. No decoder calls it, so it is not in the table of ops.h.
using ReadSum = std::uint64_t (*)(const std::uint64_t* p, std::size_t n) noexcept;
ReadSum read_sum_of(Level level);

}  // namespace ra::kernels
