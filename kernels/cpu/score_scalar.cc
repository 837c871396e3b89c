// SPDX-License-Identifier: Apache-2.0
#include "kernels/dot.h"
#include "kernels/score.h"

namespace ra::kernels {

template <>
void score<Level::kScalar>(const ScoreArgs& a) noexcept {
  for (std::size_t j = 0; j < a.n; ++j) {
    const std::size_t key = (a.ids != nullptr ? a.ids[j] : a.first + j) * a.key_stride;
    for (std::size_t g = 0; g < a.group; ++g) {
      const float* q = a.q + g * a.q_stride;
      a.out[g * a.out_stride + j] =
          a.type == KvType::kF32
              ? dot<Level::kScalar>(q, static_cast<const float*>(a.keys) + key, a.dim)
              : dot_bf16<Level::kScalar>(q, static_cast<const bf16*>(a.keys) + key, a.dim);
    }
  }
}

}  // namespace ra::kernels
