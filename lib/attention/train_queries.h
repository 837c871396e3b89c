// SPDX-License-Identifier: Apache-2.0
// A sample of the prefill's queries, spread evenly over the prompt: what query-aware indexes learn
// from. A contiguous prefix would leave late keys without any training query.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/model/config.h"
#include "lib/model/qkv_sink.h"
#include "lib/model/query_sample.h"

namespace ra::attention {

// The positions: at most `most` of [0, prompt_tokens), at equal distances from 0 on.
std::vector<std::int64_t> train_positions(std::int64_t prompt_tokens, std::int64_t most);

// Of training queries at positions `pos`, ascending: the rows [first, second) that keys at
// positions [begin, end) are learnt by. Those between them, and while they are fewer than `fewest`
// earlier ones, or the first.
std::pair<std::size_t, std::size_t> training_rows(std::span<const std::int64_t> pos,
                                                  std::int64_t begin, std::int64_t end,
                                                  std::size_t fewest);

// Of training queries at positions `pos`: the rows that a budget is measured by, at most 32 of the
// last quarter, whose queries see most of the keys.
std::vector<std::size_t> budget_rows(std::span<const std::int64_t> pos);

// Queries of a head and their positions.
struct PlacedQueries {
  Matrix<float> rows;                   // [m, head_dim]
  std::vector<std::int64_t> positions;  // [m], ascending
};

class TrainQueries : public model::QkvSink {
 public:
  // Keeps at most `max_positions` of the first `prompt_tokens` positions, the same in every layer,
  // in bf16: what a KV snapshot gives back.
  TrainQueries(const model::Config& config, std::int64_t prompt_tokens, std::int64_t max_positions);
  explicit TrainQueries(model::QuerySample sample) : sample_(std::move(sample)) {}

  void on_qkv(const model::QkvView& view) override;

  // Queries of one head, [rows, head_dim], post-RoPE: the training_rows of these positions, of
  // 2 head_dim at the fewest.
  Matrix<float> head(int layer, int head, std::int64_t begin, std::int64_t end) const;
  // Those at these positions, and no others.
  Matrix<float> between(int layer, int head, std::int64_t begin, std::int64_t end) const;
  PlacedQueries budget_queries(int layer, int head) const;
  const model::QuerySample& sample() const { return sample_; }
  model::QuerySample& sample() { return sample_; }

 private:
  // Rows [first, last) of the sample.
  Matrix<float> rows(int layer, int head, std::size_t first, std::size_t last) const;

  model::QuerySample sample_;
};

}  // namespace ra::attention
