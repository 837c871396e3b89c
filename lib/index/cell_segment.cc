// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_segment.h"

#include <algorithm>
#include <utility>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/scores.h"

namespace ra::index {

CellSegment::CellSegment(MatView<const float> keys, const Cells& cells, std::uint32_t first_key,
                         int key_bits)
    : first_key_(first_key),
      order_(cells.order.begin(), cells.order.end()),
      top_(cells.top),
      cell_(cells.cell) {
  RA_CHECK(keys.rows == order_.size() && keys.rows > 0 && keys.rows <= kMostSegmentKeys);
  std::vector<std::uint32_t> top_rows;  // begin of the tops, in rows
  for (const std::uint32_t c : top_.begin) top_rows.push_back(cell_.begin[c]);
  const Matrix<float> tops = cell_means(keys, cells.order, top_rows);
  top_means_ = Matrix<bf16>(tops.rows(), keys.cols);
  std::transform(tops.data(), tops.data() + tops.rows() * keys.cols, top_means_.data(), to_bf16);

  const Matrix<float> means = cell_means(keys, cells.order, cell_.begin);
  CodeSpace space = plain_space(means.view());
  cell_codes_ = KeyCodes(space, means.view(), 8);
  centre_ = std::move(space.mean);
  if (key_bits == 0) return;
  const CodeSpace none{std::vector<float>(keys.cols), {}, {}};
  key_codes_ = KeyCodes(none, differences(keys).view(), key_bits);
}

// Keys in list order, less the decoded means of their cells.
Matrix<float> CellSegment::differences(MatView<const float> keys) const {
  Matrix<float> d(keys.rows, keys.cols);
  std::vector<float> mean(cell_codes_.rank());
  for (std::size_t c = 0; c < cell_.count(); ++c) {
    cell_codes_.decode(c, mean.data());
    for (std::uint32_t row = cell_.begin[c]; row < cell_.begin[c + 1]; ++row)
      for (std::size_t j = 0; j < keys.cols; ++j)
        d.row(row)[j] = keys.row(order_[row])[j] - centre_[j] - mean[j];
  }
  return d;
}

std::size_t CellSegment::bytes() const {
  return order_.size() * sizeof(order_[0]) + top_.bytes() + cell_.bytes() + top_means_.bytes() +
         centre_.size() * sizeof(float) + cell_codes_.bytes() + key_codes_.bytes();
}

void CellSegment::score_tops(const float* query, float* out) const {
  kernels::ops().score({.q = query,
                        .q_stride = top_means_.cols(),
                        .group = 1,
                        .dim = top_means_.cols(),
                        .keys = top_means_.data(),
                        .type = kernels::KvType::kBf16,
                        .key_stride = top_means_.cols(),
                        .n = top_means_.rows(),
                        .out = out,
                        .out_stride = top_means_.rows()});
}

float CellSegment::centre(const float* query) const {
  return dot(query, centre_.data(), centre_.size());
}

Cells CellSegment::cells() const { return {{order_.begin(), order_.end()}, top_, cell_}; }

}  // namespace ra::index
