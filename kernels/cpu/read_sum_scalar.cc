// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/read_sum_lanes.h"

namespace ra::kernels {

template <>
std::uint64_t read_sum<Level::kScalar>(const std::uint64_t* p, std::size_t n) noexcept {
  typedef std::uint64_t V __attribute__((vector_size(16)));  // every x86-64 has SSE2
  return read_sum_lanes<V>(p, n);
}

}  // namespace ra::kernels
