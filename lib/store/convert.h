// SPDX-License-Identifier: Apache-2.0
// f32 to the stored type and back. Round to nearest even, subnormals kept, in integer arithmetic
// where a flush-to-zero mode could matter; plain loops that the compiler turns into SIMD.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/store/vectors.h"

namespace ra::store {

struct Narrowed {
  std::size_t overflow = 0;    // finite values that round to infinity; stored as the largest finite
  std::size_t not_finite = 0;  // NaN and infinities of the input; stored as such
  Narrowed& operator+=(const Narrowed& o) {
    overflow += o.overflow;
    not_finite += o.not_finite;
    return *this;
  }
};

// out [n] of bytes_of(type) each.
Narrowed narrow(DType type, const float* in, std::size_t n, void* out) noexcept;
void widen(DType type, const void* in, std::size_t n, float* out) noexcept;

}  // namespace ra::store
