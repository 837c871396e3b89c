// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/query_moments.h"

#include <algorithm>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"

namespace ra::attention {
namespace {

std::size_t size(auto n) { return static_cast<std::size_t>(n); }

}  // namespace

QueryMoments::QueryMoments(const model::Config& config, std::int64_t span)
    : layers_(size(config.n_layers)),
      heads_(size(config.n_heads)),
      dim_(size(config.head_dim)),
      length_(span) {
  RA_CHECK(span > 0);
}

QueryMoments::Span& QueryMoments::span_at(std::int64_t pos) {
  while (spans_.size() <= size(pos / length_)) {
    Span span;
    for (std::size_t layer = 0; layer < layers_; ++layer)
      span.sums.emplace_back(heads_ * dim_, dim_);
    span.counts.assign(layers_, 0);
    spans_.push_back(std::move(span));
  }
  return spans_[size(pos / length_)];
}

void QueryMoments::on_qkv(const model::QkvView& view) {
  const std::int64_t end = view.pos + static_cast<std::int64_t>(view.q.rows);
  for (std::int64_t pos = view.pos; pos < end;) {
    const std::int64_t last = std::min(end, (pos / length_ + 1) * length_);
    add(view, pos, last, span_at(pos));
    pos = last;
  }
}

// Positions [first, last) of the view.
void QueryMoments::add(const model::QkvView& view, std::int64_t first, std::int64_t last,
                       Span& span) {
  const std::int64_t from = (first + kStride - 1) / kStride * kStride;
  if (from >= last) return;
  const std::size_t count = size((last - from + kStride - 1) / kStride);
  parallel_for(heads_, [&](std::size_t head, int) {
    // Coordinate by query, so that the product of its rows is the sum wanted.
    Matrix<float> q(dim_, count);
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = view.q.row(size(from - view.pos) + i * size(kStride)) + head * dim_;
      for (std::size_t c = 0; c < dim_; ++c) q.row(c)[i] = row[c];
    }
    AlignedBuffer<std::byte> scratch(kernels::gemm_scratch_bytes(count));
    kernels::ops().gemm({.type = kernels::Quant::kF32,
                         .w = reinterpret_cast<const std::byte*>(q.data()),
                         .row_bytes = count * sizeof(float),
                         .rows = dim_,
                         .cols = count,
                         .x = q.data(),
                         .x_stride = count,
                         .tokens = dim_,
                         .add = true,
                         .y = span.sums[size(view.layer)].row(head * dim_),
                         .y_stride = dim_,
                         .scratch = scratch.data()});
  });
  span.counts[size(view.layer)] += static_cast<std::int64_t>(count);
  if (view.layer == 0) queries_ += static_cast<std::int64_t>(count);
}

Matrix<float> QueryMoments::mean(int layer, int head, std::int64_t begin, std::int64_t end) const {
  RA_CHECK(!spans_.empty() && begin >= 0 && begin < end);
  std::size_t first = std::min(size(begin / length_), spans_.size() - 1);
  const std::size_t last = std::min(std::max(first + 1, size(end / length_)), spans_.size());
  std::int64_t count = 0;
  for (std::size_t i = first; i < last; ++i) count += spans_[i].counts[size(layer)];
  while (first > 0 && count < 2 * static_cast<std::int64_t>(dim_))
    count += spans_[--first].counts[size(layer)];
  Matrix<float> mean(dim_, dim_);
  for (std::size_t i = first; i < last; ++i) {
    const float* sum = spans_[i].sums[size(layer)].row(size(head) * dim_);
    for (std::size_t j = 0; j < dim_ * dim_; ++j)
      mean.data()[j] += sum[j] / static_cast<float>(count);
  }
  return mean;
}

std::size_t QueryMoments::bytes() const {
  return spans_.size() * layers_ * heads_ * dim_ * dim_ * sizeof(float);
}

}  // namespace ra::attention
