// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <algorithm>

#include "kernels/ops.h"
#include "lib/core/error.h"

namespace ra::index {
bool fits_bf16(MatView<const float> rows) {
  for (std::size_t i = 0; i < rows.rows; ++i)
    for (std::size_t j = 0; j < rows.cols; ++j)
      if (to_float(to_bf16(rows.row(i)[j])) != rows.row(i)[j]) return false;
  return true;
}

namespace {

// `from` and below it the rows of `keys`.
template <class To, class Convert>
Matrix<To> stack(const Matrix<To>& from, std::size_t rows, MatView<const float> keys,
                 const Convert& convert) {
  Matrix<To> out(rows + keys.rows, keys.cols);
  if (rows > 0) std::copy_n(from.data(), rows * keys.cols, out.data());
  for (std::size_t i = 0; i < keys.rows; ++i)
    std::transform(keys.row(i), keys.row(i) + keys.cols, out.row(rows + i), convert);
  return out;
}

}  // namespace

Matrix<float> copy_rows(MatView<const float> rows) {
  Matrix<float> out(rows.rows, rows.cols);
  for (std::size_t i = 0; i < rows.rows; ++i) std::copy_n(rows.row(i), rows.cols, out.row(i));
  return out;
}

KeyRows::KeyRows(MatView<const float> keys) : KeyRows(keys, StoredKeys{}) {}

KeyRows::KeyRows(MatView<const float> keys, const StoredKeys& stored)
    : cols_(keys.cols), stored_(stored) {
  RA_CHECK(stored.type != kernels::KvType::kInt8);
  append(keys);
}

std::size_t KeyRows::bytes_of(const KeyShape& shape) {
  const std::size_t value = shape.bf16 ? sizeof(bf16) : sizeof(float);
  return shape.stored ? 0 : shape.keys * shape.dim * value;
}

void KeyRows::append(MatView<const float> keys) {
  RA_CHECK(keys.cols == cols_);
  if (stored_.rows == nullptr) {
    if (wide_.rows() == 0 && fits_bf16(keys)) {
      narrow_ = stack(narrow_, rows_, keys, [](float v) { return to_bf16(v); });
    } else {
      if (narrow_.rows() > 0) {  // the first rows that bf16 would round
        wide_ = Matrix<float>(rows_, cols_);
        std::transform(narrow_.data(), narrow_.data() + rows_ * cols_, wide_.data(),
                       [](bf16 v) { return to_float(v); });
        narrow_ = {};
      }
      wide_ = stack(wide_, rows_, keys, [](float v) { return v; });
    }
  }
  rows_ += keys.rows;
}

void KeyRows::truncate(std::size_t rows) {
  RA_CHECK(rows <= rows_);
  rows_ = rows;
}

StoredKeys KeyRows::source() const {
  if (stored_.rows != nullptr) return stored_;
  if (narrow_.rows() > 0) return {narrow_.data(), kernels::KvType::kBf16, cols_};
  return {wide_.data(), kernels::KvType::kF32, cols_};
}

kernels::ScoreArgs KeyRows::args(MatView<const float> queries) const {
  const StoredKeys from = source();
  return {.q = queries.data,
          .q_stride = queries.stride,
          .group = queries.rows,
          .dim = cols_,
          .keys = from.rows,
          .type = from.type,
          .key_stride = from.stride};
}

void KeyRows::score_range(MatView<const float> queries, std::size_t first, std::size_t count,
                          float* out, std::size_t out_stride) const {
  kernels::ScoreArgs a = args(queries);
  a.first = first;
  a.n = count;
  a.out = out;
  a.out_stride = out_stride;
  kernels::ops().score(a);
}

void KeyRows::score_ids(MatView<const float> queries, std::span<const std::uint32_t> ids,
                        float* out, std::size_t out_stride) const {
  if (ids.empty()) return;  // a null `ids` would mean a range
  kernels::ScoreArgs a = args(queries);
  a.ids = ids.data();
  a.n = ids.size();
  a.out = out;
  a.out_stride = out_stride;
  kernels::ops().score(a);
}

void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits) {
  RA_CHECK(queries.rows == 0 || queries.cols == dim);
  RA_CHECK(hits.size() >= queries.rows);
  RA_CHECK(p.k >= 0 && p.effort >= 0);
}

}  // namespace ra::index
