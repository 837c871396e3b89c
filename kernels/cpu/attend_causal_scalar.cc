// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/attend.h"

namespace ra::kernels {

// Causal attention is, row by row, attention to the keys up to its own.
template <>
void attend_causal<Level::kScalar>(const CausalArgs& a) noexcept {
  const std::size_t d = a.kv.head_dim, dv = a.kv.value_dim;
  float* acc = reinterpret_cast<float*>(a.scratch);
  for (std::size_t t = 0; t < a.tokens; ++t) {
    const std::size_t pos = a.pos0 + t, first = first_key(pos, a.window);
    for (std::size_t g = 0; g < a.group; ++g) {
      std::fill_n(acc, dv, 0.0f);
      Partial partial{.acc = acc};
      attend_partial<Level::kScalar>({.q = a.q + t * a.q_stride + g * d,
                                      .q_stride = d,
                                      .group = 1,
                                      .kv = a.kv,
                                      .first = first,
                                      .n = pos + 1 - first,
                                      .scale = a.scale,
                                      .out = &partial});
      finish(partial, a.out + t * a.out_stride + g * dv, dv);
    }
  }
}

}  // namespace ra::kernels
