// SPDX-License-Identifier: Apache-2.0
// What an index of a layer learns from, asked for head by head and positions by positions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::attention {

// Rows of queries or their second moment (index::QuerySet); both may be empty if none are needed.
struct Training {
  Matrix<float> rows, moment;
};
// Of (layer, query head), for keys at positions [begin, end).
using TrainingOf =
    std::function<Training(int layer, int head, std::int64_t begin, std::int64_t end)>;
// Training queries of (layer, query head) at positions [begin, end), in order, [rows, head_dim].
using QueriesOf =
    std::function<Matrix<float>(int layer, int head, std::int64_t begin, std::int64_t end)>;

// The training queries of some heads, and the views of them that an index takes.
struct HeldTraining {
  std::vector<Training> sets;
  std::vector<index::QuerySet> views;
  // `of` may be empty: then there are none.
  HeldTraining(const TrainingOf& of, int layer, int first_head, int heads, std::int64_t begin,
               std::int64_t end);
};

}  // namespace ra::attention
