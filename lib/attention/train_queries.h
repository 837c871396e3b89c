// SPDX-License-Identifier: Apache-2.0
// A sample of the prefill's queries, spread evenly over the prompt: what query-aware indexes learn
// from. A contiguous prefix would leave late keys without any training query.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/model/config.h"
#include "lib/model/qkv_sink.h"

namespace ra::attention {

class TrainQueries : public model::QkvSink {
 public:
  // Keeps at most `max_positions` of the first `prompt_tokens` positions, the same in every layer.
  TrainQueries(const model::Config& config, std::int64_t prompt_tokens, std::int64_t max_positions);

  void on_qkv(const model::QkvView& view) override;

  // Queries of one head, [positions, head_dim], post-RoPE.
  MatView<const float> head(int layer, int head) const;
  std::size_t bytes() const;

 private:
  std::int64_t stride_, positions_;
  std::size_t heads_, head_dim_;
  std::vector<Matrix<float>> layers_;  // per layer [heads * positions, head_dim]
};

}  // namespace ra::attention
