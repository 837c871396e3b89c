// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_segment.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/codes.h"
#include "lib/core/error.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

template <class T>
void ask(const std::vector<T>& array) {
  const char* at = reinterpret_cast<const char*>(array.data());
  for (std::size_t i = 0; i < array.size() * sizeof(T); i += 64) __builtin_prefetch(at + i);
}

float deviation_of(MatView<const float> keys, const Cells& cells, const Matrix<float>& means) {
  double distances = 0, spreads = 0;
  for (std::size_t c = 0; c < cells.cell.count(); ++c) {
    const double spread = static_cast<double>(cells.cell.spread[c]);
    spreads += spread * spread * cells.cell.size(c);
    for (std::uint32_t row = cells.cell.begin[c]; row < cells.cell.begin[c + 1]; ++row)
      distances += static_cast<double>(
          squared_distance(keys.row(cells.order[row]), means.row(c), keys.cols));
  }
  return spreads > 0 ? static_cast<float>(std::sqrt(distances / spreads)) : 0;
}

}  // namespace

CellSegment::CellSegment(MatView<const float> keys, MatView<const float> values, const Cells& cells,
                         std::uint32_t first_key, int key_bits)
    : first_key_(first_key),
      order_(cells.order.begin(), cells.order.end()),
      top_(cells.top),
      cell_(cells.cell),
      first_cell_block_(static_cast<std::uint32_t>((top_.count() + kernels::kCodeKeys - 1) /
                                                   kernels::kCodeKeys)) {
  RA_CHECK(keys.rows == order_.size() && keys.rows > 0 && keys.rows <= kMostSegmentKeys);
  for (std::size_t c = 0; c < cell_.count(); ++c)
    log_sizes_.push_back(std::log(static_cast<float>(cell_.size(c))));
  std::vector<std::uint32_t> top_rows;  // begin of the tops, in rows
  for (const std::uint32_t c : top_.begin) top_rows.push_back(cell_.begin[c]);
  if (values.rows > 0) {
    RA_CHECK(values.rows == keys.rows);
    for (std::size_t t = 0; t < top_.count(); ++t)
      top_log_sizes_.push_back(std::log(static_cast<float>(top_rows[t + 1] - top_rows[t])));
    const Matrix<float> of_tops = cell_means(values, cells.order, top_rows);
    const std::size_t stride = value_stride(values.cols);
    top_values_.resize(top_.count() * stride);
    for (std::size_t t = 0; t < top_.count(); ++t)
      for (std::size_t j = 0; j < values.cols; ++j)
        top_values_[t * stride + j] = to_bf16(of_tops.row(t)[j]);
  }
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
  deviation_ = deviation_of(keys, cells, means);
  Matrix<float> rows(keys.rows, keys.cols);
  for (std::uint32_t row = 0; row < keys.rows; ++row)
    std::copy_n(keys.row(order_[row]), keys.cols, rows.row(row));
  key_codes_ = KeyCodes({centre_, {}, {}}, rows.view(), key_bits);
}

std::size_t CellSegment::bytes() const {
  return order_.size() * sizeof(order_[0]) + top_.bytes() + cell_.bytes() +
         (log_sizes_.size() + top_log_sizes_.size() + centre_.size()) * sizeof(float) +
         top_values_.size() * sizeof(bf16) + mean_codes_.bytes() + key_codes_.bytes();
}

std::size_t CellSegment::bytes_of(std::size_t keys, std::size_t dim, std::size_t cells,
                                  std::size_t tops, int key_bits, std::size_t value_dim) {
  // begin and spread, and the logarithms of sizes
  const std::size_t levels = (3 * cells + 1 + 2 * tops + 1) * sizeof(float);
  const std::size_t of_values =
      value_dim > 0 ? tops * (sizeof(float) + value_stride(value_dim) * sizeof(bf16)) : 0;
  return keys * sizeof(std::uint16_t) + levels + of_values + dim * sizeof(float) +
         KeyCodes::bytes_of(tops + kernels::kCodeKeys + cells, dim, 8) +
         (key_bits > 0 ? KeyCodes::bytes_of(keys, dim, key_bits) : 0);
}

void CellSegment::prefetch() const {
  mean_codes_.prefetch_steps();
  key_codes_.prefetch_steps();
  ask(centre_);
  ask(top_.begin);
  ask(top_.spread);
  mean_codes_.prefetch(0, top_.count());
}

void CellSegment::prefetch_values() const {
  ask(top_log_sizes_);
  ask(top_values_);
}

void CellSegment::prefetch_cells(std::size_t top) const {
  const std::size_t first = first_cell_block_ * kernels::kCodeKeys;
  mean_codes_.prefetch(first + top_.begin[top], first + top_.begin[top + 1]);
}

void CellSegment::prefetch_rows(std::size_t first, std::size_t last) const {
  key_codes_.prefetch(first, last);
  __builtin_prefetch(&order_[first], 0, 2);
  __builtin_prefetch(&order_[last - 1], 0, 2);
}

float CellSegment::centre(const float* query) const {
  return dot(query, centre_.data(), centre_.size());
}

Cells CellSegment::cells() const { return {{order_.begin(), order_.end()}, top_, cell_}; }

}  // namespace ra::index
