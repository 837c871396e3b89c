// SPDX-License-Identifier: Apache-2.0
#include "kernels/attend.h"

#include "kernels/cpu/attend_tiles.h"

namespace ra::kernels {

std::size_t causal_scratch_bytes(std::size_t tokens, std::size_t group, std::size_t head_dim,
                                 std::size_t value_dim) {
  return attend_tiles::layout(tokens, group, head_dim, value_dim).end * sizeof(float);
}

}  // namespace ra::kernels
