// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_codes.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/scores.h"

namespace ra::index {
namespace {

// Coordinates of a 4-bit code beyond this many times their rms are cut off: a finer step is worth
// more than the outliers.
constexpr float kClip4 = 2.5f;

// Largest code: 127 or 7.
float largest_code(int bits) { return static_cast<float>((1 << (bits - 1)) - 1); }

}  // namespace

CodeSpace plain_space(MatView<const float> keys) {
  CodeSpace space{std::vector<float>(keys.cols), Matrix<float>(keys.cols, keys.cols), {}};
  for (std::size_t j = 0; j < keys.cols; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < keys.rows; ++i) sum += static_cast<double>(keys.row(i)[j]);
    space.mean[j] = static_cast<float>(sum / static_cast<double>(keys.rows));
    space.key_map.row(j)[j] = 1;
  }
  space.query_map = product(space.key_map.view(), space.key_map.view());
  return space;
}

CodeSpace low_rank_space(const QueryMetric& metric, MatView<const float> x, std::size_t rank) {
  const Matrix<float> axes = principal_axes(x, std::min(rank, x.cols));
  return {.mean = metric.mean,
          .key_map = product(axes.view(), metric.a.view()),
          .query_map = product(axes.view(), metric.a_inverse.view())};
}

KeyCodes::KeyCodes(const CodeSpace& space, MatView<const float> keys,
                   std::span<const std::uint32_t> order, int bits)
    : rows_(keys.rows), bits_(bits) {
  RA_CHECK(bits == 8 || bits == 4);
  RA_CHECK(order.empty() || order.size() == keys.rows);
  const std::size_t rank = space.key_map.rows(), step = static_cast<std::size_t>(32 / bits);
  rank_ = (rank + step - 1) / step * step;
  Matrix<float> z(rows_, rank);  // coordinates, row by row
  std::vector<float> centred(keys.cols);
  for (std::size_t i = 0; i < rows_; ++i) {
    const float* key = keys.row(order.empty() ? i : order[i]);
    for (std::size_t j = 0; j < keys.cols; ++j) centred[j] = key[j] - space.mean[j];
    score_block({centred.data(), 1, keys.cols}, space.key_map.view(), 0, rank, z.row(i), rank);
  }
  query_map_ = Matrix<float>(rank_, keys.cols);
  const std::uint8_t zero = bits == 8 ? 128 : 0x88;
  codes_ = AlignedBuffer<std::uint8_t>(blocks() * block_bytes());
  std::fill_n(codes_.data(), codes_.size(), zero);
  const float most = largest_code(bits);
  for (std::size_t c = 0; c < rank; ++c) {
    float largest = 0;
    double square = 0;
    for (std::size_t i = 0; i < rows_; ++i) {
      largest = std::max(largest, std::abs(z.row(i)[c]));
      square += static_cast<double>(z.row(i)[c]) * z.row(i)[c];
    }
    if (bits == 4)
      largest = std::min(
          largest, kClip4 * static_cast<float>(std::sqrt(square / static_cast<double>(rows_))));
    if (!(largest > 0) || !std::isfinite(largest)) continue;
    const float unit = largest / most;
    for (std::size_t j = 0; j < keys.cols; ++j)
      query_map_.row(c)[j] = unit * space.query_map.row(c)[j];
    for (std::size_t i = 0; i < rows_; ++i) {
      const float code = std::clamp(std::nearbyint(z.row(i)[c] / unit), -most, most);
      std::uint8_t& byte =
          codes_.data()[i / kernels::kCodeKeys * block_bytes() +
                        c / step * kernels::kCodeStepBytes + 4 * (i % kernels::kCodeKeys) + c % 4];
      if (bits == 8) {
        byte = static_cast<std::uint8_t>(static_cast<int>(code) + 128);
      } else {
        const auto half = static_cast<std::uint8_t>(static_cast<int>(code) + 8);
        byte = static_cast<std::uint8_t>(c % 8 < 4 ? (byte & 0xf0) | half
                                                   : (byte & 0x0f) | (half << 4));
      }
    }
  }
}

std::size_t KeyCodes::bytes() const { return codes_.size() + query_map_.bytes(); }

void KeyCodes::encode(MatView<const float> queries, std::vector<std::int8_t>& out,
                      std::vector<float>& units) const {
  out.assign(queries.rows * rank_, 0);
  units.assign(queries.rows, 0);
  std::vector<float> y(rank_);
  for (std::size_t r = 0; r < queries.rows; ++r) {
    score_block(queries.row_range(r, 1), query_map_.view(), 0, rank_, y.data(), rank_);
    float largest = 0;
    for (const float v : y) largest = std::max(largest, std::abs(v));
    if (!(largest > 0) || !std::isfinite(largest)) continue;
    units[r] = largest / 127;
    for (std::size_t c = 0; c < rank_; ++c)
      out[r * rank_ + c] = static_cast<std::int8_t>(std::lrint(y[c] / largest * 127));
  }
}

kernels::CodeArgs KeyCodes::args(const std::int8_t* queries, std::size_t group, float* out,
                                 std::size_t out_stride) const {
  return {.q = queries,
          .q_stride = rank_,
          .group = group,
          .rank = rank_,
          .codes = codes_.data(),
          .bits = bits_,
          .n = blocks(),
          .out = out,
          .out_stride = out_stride};
}

void KeyCodes::score(const std::int8_t* queries, std::size_t group,
                     std::span<const std::uint32_t> ids, float* out, std::size_t out_stride) const {
  if (ids.empty()) return;
  kernels::CodeArgs a = args(queries, group, out, out_stride);
  a.blocks = ids.data();
  a.n = ids.size();
  kernels::ops().score_codes(a);
}

void KeyCodes::score_all(const std::int8_t* queries, std::size_t group, float* out,
                         std::size_t out_stride) const {
  kernels::ops().score_codes(args(queries, group, out, out_stride));
}

}  // namespace ra::index
