// SPDX-License-Identifier: Apache-2.0
// What every index does with its keys and its queries: copy rows, score them, check shapes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/score.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

Matrix<float> copy_rows(MatView<const float> rows);

// An index's own copy of the keys, in an order that suits it: as bf16 where that loses nothing (a
// KV cache in bf16), otherwise as f32. Scores are exact inner products either way.
class KeyRows {
 public:
  KeyRows() = default;
  explicit KeyRows(MatView<const float> keys);
  // Row i is keys row order[i].
  KeyRows(MatView<const float> keys, std::span<const std::uint32_t> order);

  std::size_t rows() const { return wide_.rows() + narrow_.rows(); }
  std::size_t cols() const { return std::max(wide_.cols(), narrow_.cols()); }
  std::size_t row_bytes() const { return cols() * (narrow_.rows() > 0 ? 2 : 4); }
  std::size_t bytes() const { return rows() * row_bytes(); }

  // out[r * out_stride + j] = queries row r . row first + j, j < count.
  void score_range(MatView<const float> queries, std::size_t first, std::size_t count, float* out,
                   std::size_t out_stride) const;
  // out[j] = query . row ids[j].
  void score_ids(const float* query, std::span<const std::uint32_t> ids, float* out) const;

 private:
  kernels::ScoreArgs args(MatView<const float> queries) const;

  Matrix<float> wide_;
  Matrix<bf16> narrow_;  // one of the two is empty
};

// The shapes that VectorIndex::search promises to its implementations; a breach aborts.
void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits);

}  // namespace ra::index
