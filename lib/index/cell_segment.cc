// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_segment.h"

#include <algorithm>
#include <utility>

#include "kernels/codes.h"
#include "lib/core/error.h"
#include "lib/index/scores.h"

namespace ra::index {

CellSegment::CellSegment(MatView<const float> keys, const Cells& cells, std::uint32_t first_key,
                         int key_bits)
    : first_key_(first_key),
      order_(cells.order.begin(), cells.order.end()),
      top_(cells.top),
      cell_(cells.cell),
      first_cell_block_(static_cast<std::uint32_t>((top_.count() + kernels::kCodeKeys - 1) /
                                                   kernels::kCodeKeys)) {
  RA_CHECK(keys.rows == order_.size() && keys.rows > 0 && keys.rows <= kMostSegmentKeys);
  std::vector<std::uint32_t> top_rows;  // begin of the tops, in rows
  for (const std::uint32_t c : top_.begin) top_rows.push_back(cell_.begin[c]);
  const Matrix<float> tops = cell_means(keys, cells.order, top_rows),
                      means = cell_means(keys, cells.order, cell_.begin);
  // Steps are fitted to both; the last top fills up its block.
  Matrix<float> all(first_cell_block_ * kernels::kCodeKeys + means.rows(), keys.cols);
  for (std::size_t i = 0; i < first_cell_block_ * kernels::kCodeKeys; ++i)
    std::copy_n(tops.row(std::min(i, tops.rows() - 1)), keys.cols, all.row(i));
  std::copy_n(means.data(), means.rows() * keys.cols,
              all.row(first_cell_block_ * kernels::kCodeKeys));
  CodeSpace space = plain_space(means.view());
  mean_codes_ = KeyCodes(space, all.view(), 8);
  centre_ = std::move(space.mean);
  if (key_bits == 0) return;
  const CodeSpace none{std::vector<float>(keys.cols), {}, {}};
  key_codes_ = KeyCodes(none, differences(keys).view(), key_bits);
}

// Keys in list order, less the decoded means of their cells.
Matrix<float> CellSegment::differences(MatView<const float> keys) const {
  Matrix<float> d(keys.rows, keys.cols);
  std::vector<float> mean(mean_codes_.rank());
  for (std::size_t c = 0; c < cell_.count(); ++c) {
    mean_codes_.decode(first_cell_block_ * kernels::kCodeKeys + c, mean.data());
    for (std::uint32_t row = cell_.begin[c]; row < cell_.begin[c + 1]; ++row)
      for (std::size_t j = 0; j < keys.cols; ++j)
        d.row(row)[j] = keys.row(order_[row])[j] - centre_[j] - mean[j];
  }
  return d;
}

std::size_t CellSegment::bytes() const {
  return order_.size() * sizeof(order_[0]) + top_.bytes() + cell_.bytes() +
         centre_.size() * sizeof(float) + mean_codes_.bytes() + key_codes_.bytes();
}

float CellSegment::centre(const float* query) const {
  return dot(query, centre_.data(), centre_.size());
}

Cells CellSegment::cells() const { return {{order_.begin(), order_.end()}, top_, cell_}; }

}  // namespace ra::index
