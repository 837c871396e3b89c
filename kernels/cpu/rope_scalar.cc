// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rope_pair.h"
#include "kernels/rope.h"

namespace ra::kernels {

template <>
void rope<Level::kScalar>(const RopeArgs& a) noexcept {
  for (std::size_t h = 0; h < a.heads; ++h) rotate_pairs(a, a.x + h * a.head_dim, 0);
}

}  // namespace ra::kernels
