// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/attend.h"

namespace ra::kernels {

// Causal attention is, row by row, attention to a prefix.
template <>
void attend_causal<Level::kScalar>(const CausalArgs& a) noexcept {
  const std::size_t d = a.kv.head_dim, dv = a.kv.value_dim;
  float* acc = reinterpret_cast<float*>(a.scratch);
  for (std::size_t t = 0; t < a.tokens; ++t)
    for (std::size_t g = 0; g < a.group; ++g) {
      std::fill_n(acc, dv, 0.0f);
      Partial partial{.acc = acc};
      attend_partial<Level::kScalar>({.q = a.q + t * a.q_stride + g * d,
                                      .q_stride = d,
                                      .group = 1,
                                      .kv = a.kv,
                                      .n = a.pos0 + t + 1,
                                      .scale = a.scale,
                                      .out = &partial});
      finish(partial, a.out + t * a.out_stride + g * dv, dv);
    }
}

}  // namespace ra::kernels
