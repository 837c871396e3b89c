// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <algorithm>
#include <numeric>

#include "kernels/ops.h"
#include "lib/core/error.h"

namespace ra::index {
namespace {

bool fits_bf16(MatView<const float> rows) {
  for (std::size_t i = 0; i < rows.rows; ++i)
    for (std::size_t j = 0; j < rows.cols; ++j)
      if (to_float(to_bf16(rows.row(i)[j])) != rows.row(i)[j]) return false;
  return true;
}

std::vector<std::uint32_t> in_order(std::size_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

}  // namespace

Matrix<float> copy_rows(MatView<const float> rows) {
  Matrix<float> out(rows.rows, rows.cols);
  for (std::size_t i = 0; i < rows.rows; ++i) std::copy_n(rows.row(i), rows.cols, out.row(i));
  return out;
}

KeyRows::KeyRows(MatView<const float> keys) : KeyRows(keys, in_order(keys.rows)) {}

KeyRows::KeyRows(MatView<const float> keys, std::span<const std::uint32_t> order) {
  if (fits_bf16(keys)) {
    narrow_ = Matrix<bf16>(order.size(), keys.cols);
    for (std::size_t i = 0; i < order.size(); ++i)
      std::transform(keys.row(order[i]), keys.row(order[i]) + keys.cols, narrow_.row(i), to_bf16);
  } else {
    wide_ = Matrix<float>(order.size(), keys.cols);
    for (std::size_t i = 0; i < order.size(); ++i)
      std::copy_n(keys.row(order[i]), keys.cols, wide_.row(i));
  }
}

kernels::ScoreArgs KeyRows::args(MatView<const float> queries) const {
  const bool narrow = narrow_.rows() > 0;
  return {.q = queries.data,
          .q_stride = queries.stride,
          .group = queries.rows,
          .dim = cols(),
          .keys = narrow ? static_cast<const void*>(narrow_.data()) : wide_.data(),
          .type = narrow ? kernels::KvType::kBf16 : kernels::KvType::kF32,
          .key_stride = cols()};
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

void KeyRows::score_ids(const float* query, std::span<const std::uint32_t> ids, float* out) const {
  if (ids.empty()) return;  // a null `ids` would mean a range
  kernels::ScoreArgs a = args({query, 1, cols()});
  a.ids = ids.data();
  a.n = ids.size();
  a.out = out;
  a.out_stride = ids.size();
  kernels::ops().score(a);
}

void check_search(MatView<const float> queries, std::size_t dim, const SearchParams& p,
                  std::span<std::vector<Hit>> hits) {
  RA_CHECK(queries.rows == 0 || queries.cols == dim);
  RA_CHECK(hits.size() >= queries.rows);
  RA_CHECK(p.k >= 0 && p.effort >= 0);
}

}  // namespace ra::index
