// SPDX-License-Identifier: Apache-2.0
// Queries of some positions of a prefill, all heads of all layers, as a KV snapshot keeps them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/types.h"
#include "lib/core/matrix.h"

namespace ra::model {

struct QuerySample {
  std::vector<std::int64_t> pos;     // ascending, the same in every layer
  std::vector<Matrix<bf16>> layers;  // per layer [n_heads * pos.size(), head_dim], after RoPE
};

}  // namespace ra::model
