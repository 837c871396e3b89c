// SPDX-License-Identifier: Apache-2.0
// Who may look at Q, K and V after RoPE: ra-dump's tap, and the sampler of training queries.
#pragma once

#include <cstdint>

#include "kernels/types.h"

namespace ra::model {

struct QkvView {
  int layer = 0;
  std::int64_t pos = 0;  // position of row 0
  MatView<const float> q, k, v;  // [tokens, heads * head_dim], [tokens, kv_heads * head_dim | value_dim]
};

class QkvSink {
 public:
  virtual ~QkvSink() = default;
  virtual void on_qkv(const QkvView& view) = 0;  // valid only during the call
};

}  // namespace ra::model
