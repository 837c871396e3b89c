// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/train_queries.h"

#include <algorithm>

#include "lib/core/error.h"

namespace ra::attention {

TrainQueries::TrainQueries(const model::Config& config, std::int64_t prompt_tokens,
                           std::int64_t max_positions)
    : stride_(std::max<std::int64_t>(1, (prompt_tokens + max_positions - 1) / max_positions)),
      positions_((prompt_tokens + stride_ - 1) / stride_),
      heads_(static_cast<std::size_t>(config.n_heads)),
      head_dim_(static_cast<std::size_t>(config.head_dim)) {
  RA_CHECK(prompt_tokens > 0 && max_positions > 0);
  for (int layer = 0; layer < config.n_layers; ++layer)
    layers_.emplace_back(heads_ * static_cast<std::size_t>(positions_), head_dim_);
}

void TrainQueries::on_qkv(const model::QkvView& view) {
  Matrix<float>& store = layers_[static_cast<std::size_t>(view.layer)];
  for (std::size_t row = 0; row < view.q.rows; ++row) {
    const std::int64_t pos = view.pos + static_cast<std::int64_t>(row);
    if (pos % stride_ != 0 || pos / stride_ >= positions_) continue;
    for (std::size_t h = 0; h < heads_; ++h)
      std::copy_n(view.q.row(row) + h * head_dim_, head_dim_,
                  store.row(h * static_cast<std::size_t>(positions_) +
                            static_cast<std::size_t>(pos / stride_)));
  }
}

MatView<const float> TrainQueries::head(int layer, int head) const {
  return layers_[static_cast<std::size_t>(layer)].view().row_range(
      static_cast<std::size_t>(head) * static_cast<std::size_t>(positions_),
      static_cast<std::size_t>(positions_));
}

std::size_t TrainQueries::bytes() const {
  std::size_t sum = 0;
  for (const auto& layer : layers_) sum += layer.bytes();
  return sum;
}

}  // namespace ra::attention
