// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/read_sum_lanes.h"

namespace ra::kernels {

template <>
std::uint64_t read_sum<Level::kAvx2>(const std::uint64_t* p, std::size_t n) noexcept {
  typedef std::uint64_t V __attribute__((vector_size(32)));
  return read_sum_lanes<V>(p, n);
}

}  // namespace ra::kernels
