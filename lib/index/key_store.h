// SPDX-License-Identifier: Apache-2.0
// What every index does with its keys and its queries: copy rows, score them, check shapes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/score.h"
#include "kernels/types.h"
#include "lib/core/matrix.h"
#include "lib/index/vector_index.h"

namespace ra::index {

Matrix<float> copy_rows(MatView<const float> rows);

// True if bf16 would round none of the values.
bool fits_bf16(MatView<const float> rows);

// The keys that scores are computed from: those of their owner where they stay (StoredKeys), or a
// copy, as bf16 where that loses nothing (a KV cache in bf16), otherwise as f32. Scores are exact
// inner products either way.
class KeyRows {
 public:
  KeyRows() = default;
  explicit KeyRows(MatView<const float> keys);
  // The rows of `stored` if there are any, otherwise a copy of `keys`.
  KeyRows(MatView<const float> keys, const StoredKeys& stored);

  // More rows; of stored keys, those after the ones there.
  void append(MatView<const float> keys);
  void truncate(std::size_t rows);

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  std::size_t row_bytes() const { return kernels::row_bytes(source().type, cols_); }
  std::size_t bytes() const { return stored_.rows != nullptr ? 0 : rows_ * row_bytes(); }  // a copy
  static std::size_t bytes_of(const KeyShape& shape);

  // out[r * out_stride + j] = queries row r . row first + j, j < count.
  void score_range(MatView<const float> queries, std::size_t first, std::size_t count, float* out,
                   std::size_t out_stride) const;
  // out[r * out_stride + j] = queries row r . row ids[j].
  void score_ids(MatView<const float> queries, std::span<const std::uint32_t> ids, float* out,
                 std::size_t out_stride) const;

 private:
  StoredKeys source() const;
  kernels::ScoreArgs args(MatView<const float> queries) const;

  std::size_t rows_ = 0, cols_ = 0;
  StoredKeys stored_;
  Matrix<float> wide_;
  Matrix<bf16> narrow_;  // two of the three are empty
};

// The shapes that VectorIndex::search promises to its implementations; a breach aborts.
void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits);

}  // namespace ra::index
