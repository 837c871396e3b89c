// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/multiply_peak_lanes.h"

namespace ra::kernels {
namespace {

// Every x86-64 has SSE, and the compiler uses it for scalar kernels, but no fused multiply-add.
struct Sse {
  typedef float V __attribute__((vector_size(16)));
  static constexpr std::size_t kLanes = 4;
  static V zero() { return V{}; }
  static V set1(float x) { return V{x, x, x, x}; }
  static V fma(V a, V b, V c) { return a * b + c; }
};

}  // namespace

template <>
double multiply_peak<Level::kScalar>(std::size_t rounds, bool /*exact_f32*/) noexcept {
  return multiply_peak_lanes<Sse>(rounds);
}

}  // namespace ra::kernels
