// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_codes.h"

#include <algorithm>
#include <array>
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

// Coordinates of a code: a whole number of the kernel's steps.
std::size_t padded_rank(std::size_t rank, int bits) {
  const std::size_t step = static_cast<std::size_t>(32 / bits);
  return (rank + step - 1) / step * step;
}

std::size_t blocks_of(std::size_t rows) {
  return (rows + kernels::kCodeKeys - 1) / kernels::kCodeKeys;
}

}  // namespace

CodeSpace plain_space(MatView<const float> keys) {
  std::vector<double> sum(keys.cols);
  for (std::size_t i = 0; i < keys.rows; ++i)
    for (std::size_t j = 0; j < keys.cols; ++j) sum[j] += static_cast<double>(keys.row(i)[j]);
  CodeSpace space{std::vector<float>(keys.cols), {}, {}};
  for (std::size_t j = 0; j < keys.cols; ++j)
    space.mean[j] = static_cast<float>(sum[j] / static_cast<double>(keys.rows));
  return space;
}

CodeSpace low_rank_space(const QueryMetric& metric, MatView<const float> x, std::size_t rank) {
  const Matrix<float> axes = principal_axes(x, std::min(rank, x.cols));
  return {.mean = metric.mean,
          .key_map = product(axes.view(), metric.a.view()),
          .query_map = product(axes.view(), metric.a_inverse.view())};
}

KeyCodes::KeyCodes(const CodeSpace& space, MatView<const float> keys, int bits)
    : rows_(keys.rows), dim_(keys.cols), bits_(bits) {
  RA_CHECK(bits == 8 || bits == 4);
  const bool plain = space.key_map.rows() == 0;
  const std::size_t rank = plain ? keys.cols : space.key_map.rows();
  rank_ = padded_rank(rank, bits);
  RA_CHECK(rank_ <= kernels::kMostCodeRank);
  Matrix<float> z(rows_, rank_);  // coordinates, row by row
  std::vector<float> centred(keys.cols);
  for (std::size_t i = 0; i < rows_; ++i) {
    float* to = plain ? z.row(i) : centred.data();
    for (std::size_t j = 0; j < keys.cols; ++j) to[j] = keys.row(i)[j] - space.mean[j];
    if (!plain)
      score_block({centred.data(), 1, keys.cols}, space.key_map.view(), 0, rank, z.row(i), rank);
  }
  fit_steps(z);
  if (!plain) {
    query_map_ = Matrix<float>(rank_, keys.cols);
    for (std::size_t c = 0; c < rank; ++c)
      for (std::size_t j = 0; j < keys.cols; ++j)
        query_map_.row(c)[j] = steps_[c] * space.query_map.row(c)[j];
  }
  pack(z);
}

// The largest code stands for the largest coordinate, of 4 bits at most for kClip4 times the rms.
void KeyCodes::fit_steps(const Matrix<float>& z) {
  std::vector<float> largest(rank_);
  std::vector<double> square(rank_);
  for (std::size_t i = 0; i < rows_; ++i)
    for (std::size_t c = 0; c < rank_; ++c) {
      const float v = z.row(i)[c];
      largest[c] = std::max(largest[c], std::abs(v));
      square[c] += static_cast<double>(v) * static_cast<double>(v);
    }
  steps_.assign(rank_, 0);
  for (std::size_t c = 0; c < rank_; ++c) {
    float most = largest[c];
    if (bits_ == 4)
      most = std::min(
          most, kClip4 * static_cast<float>(std::sqrt(square[c] / static_cast<double>(rows_))));
    if (most > 0 && std::isfinite(most)) steps_[c] = most / largest_code(bits_);
  }
}

void KeyCodes::pack(const Matrix<float>& z) {
  const float most = largest_code(bits_);
  const int zero = bits_ == 8 ? 128 : 8;
  const std::size_t step = static_cast<std::size_t>(32 / bits_);
  codes_ = AlignedBuffer<std::uint8_t>(blocks() * block_bytes());
  std::fill_n(codes_.data(), codes_.size(), static_cast<std::uint8_t>(bits_ == 8 ? 128 : 0x88));
  std::vector<float> inverse(rank_);
  for (std::size_t c = 0; c < rank_; ++c) inverse[c] = steps_[c] > 0 ? 1 / steps_[c] : 0;
  std::vector<std::uint8_t> row(rank_);
  for (std::size_t i = 0; i < rows_; ++i) {
    for (std::size_t c = 0; c < rank_; ++c)
      row[c] = static_cast<std::uint8_t>(
          static_cast<int>(std::clamp(std::nearbyint(z.row(i)[c] * inverse[c]), -most, most)) +
          zero);
    std::uint8_t* to =
        codes_.data() + i / kernels::kCodeKeys * block_bytes() + 4 * (i % kernels::kCodeKeys);
    for (std::size_t c = 0; c < rank_; c += step, to += kernels::kCodeStepBytes)
      for (std::size_t j = 0; j < 4; ++j)
        to[j] =
            bits_ == 8 ? row[c + j] : static_cast<std::uint8_t>(row[c + j] | row[c + 4 + j] << 4);
  }
}

std::size_t KeyCodes::bytes() const {
  return codes_.size() + query_map_.bytes() + steps_.size() * sizeof(float);
}

std::size_t KeyCodes::bytes_of(std::size_t rows, std::size_t rank, int bits) {
  const std::size_t padded = padded_rank(rank, bits);
  return blocks_of(rows) * kernels::code_block_bytes(padded, bits) + padded * sizeof(float);
}

std::size_t KeyCodes::blocks() const { return blocks_of(rows_); }

float KeyCodes::encode(const float* query, std::int8_t* out) const {
  std::array<float, kernels::kMostCodeRank> y;
  if (query_map_.rows() == 0) {
    const float* steps = steps_.data();
    float* to = y.data();
    for (std::size_t c = 0; c < dim_; ++c) to[c] = steps[c] * query[c];
    std::fill(y.data() + dim_, y.data() + rank_, 0.0f);
  } else {
    score_block({query, 1, query_map_.cols()}, query_map_.view(), 0, rank_, y.data(), rank_);
  }
  return kernels::ops().encode_query(y.data(), rank_, out);
}

void KeyCodes::decode(std::size_t i, float* out) const {
  const std::size_t step = static_cast<std::size_t>(32 / bits_);
  const std::uint8_t* from =
      codes_.data() + i / kernels::kCodeKeys * block_bytes() + 4 * (i % kernels::kCodeKeys);
  for (std::size_t c = 0; c < rank_; ++c) {
    const int byte = from[c / step * kernels::kCodeStepBytes + c % 4];
    const int code = bits_ == 8 ? byte - 128 : (c % 8 < 4 ? byte & 0x0f : byte >> 4) - 8;
    out[c] = static_cast<float>(code) * steps_[c];
  }
}

kernels::CodeArgs KeyCodes::args(const std::int8_t* queries, std::size_t group) const {
  return {.q = queries,
          .q_stride = rank_,
          .group = group,
          .rank = rank_,
          .codes = codes_.data(),
          .bits = bits_};
}

void KeyCodes::prefetch(std::size_t first, std::size_t last) const {
  const std::size_t bytes = block_bytes();
  const std::uint8_t *from = codes_.data() + first / kernels::kCodeKeys * bytes,
                     *to = codes_.data() + blocks_of(last) * bytes;
  for (; from < to; from += 64) __builtin_prefetch(from, 0, 2);
}

void KeyCodes::prefetch_steps() const {
  for (std::size_t c = 0; c < rank_; c += 16) __builtin_prefetch(&steps_[c]);
}

void KeyCodes::score(kernels::CodeArgs a, float* out, std::size_t out_stride,
                     const kernels::ScoreRule* rule) const {
  a.out = out;
  a.out_stride = out_stride;
  a.rule = rule;
  kernels::ops().score_codes(a);
}

void KeyCodes::score_first(const std::int8_t* queries, std::size_t group, std::size_t n, float* out,
                           std::size_t out_stride, const kernels::ScoreRule* rule) const {
  kernels::CodeArgs a = args(queries, group);
  a.n = n;
  score(a, out, out_stride, rule);
}

void KeyCodes::score(const std::int8_t* queries, std::size_t group,
                     std::span<const std::uint32_t> ids, float* out, std::size_t out_stride,
                     const kernels::ScoreRule* rule, std::size_t first) const {
  if (ids.empty()) return;
  kernels::CodeArgs a = args(queries, group);
  a.blocks = ids.data();
  a.first = first;
  a.n = ids.size();
  score(a, out, out_stride, rule);
}

std::size_t KeyCodes::at_least(const kernels::CodeArgs& a, const float* floors,
                               std::uint32_t* rows) const {
  std::size_t count = kernels::ops().codes_at_least(a, floors, rows);
  while (count > 0 && rows[count - 1] >= rows_) --count;
  return count;
}

std::size_t KeyCodes::at_least(const std::int8_t* queries, std::size_t group,
                               std::span<const std::uint32_t> ids, const float* floors,
                               std::uint32_t* rows) const {
  if (ids.empty()) return 0;
  kernels::CodeArgs a = args(queries, group);
  a.blocks = ids.data();
  a.n = ids.size();
  return at_least(a, floors, rows);
}

std::size_t KeyCodes::at_least_from(const std::int8_t* queries, std::size_t group,
                                    std::size_t first, const float* floors,
                                    std::uint32_t* rows) const {
  kernels::CodeArgs a = args(queries, group);
  a.first = first;
  a.n = blocks() - first;
  return at_least(a, floors, rows);
}

}  // namespace ra::index
