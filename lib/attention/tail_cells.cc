// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/tail_cells.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/build_clock.h"
#include "lib/index/kmeans.h"

namespace ra::attention {
namespace {

// Sums of rows by cell, divided by the cells' counts, at the end of `out`.
template <class RowOf>
void add_means(std::size_t n, std::size_t width, std::span<const std::uint32_t> cell_of,
               std::span<const float> counts, const RowOf& row_of, std::vector<float>& out) {
  std::vector<double> sums(counts.size() * width);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < width; ++j) sums[cell_of[i] * width + j] += row_of(i, j);
  for (std::size_t c = 0; c < counts.size(); ++c)
    for (std::size_t j = 0; j < width; ++j)
      out.push_back(static_cast<float>(sums[c * width + j] / static_cast<double>(counts[c])));
}

}  // namespace

void TailCells::append(MatView<const float> keys, MatView<const float> values,
                       std::span<const index::QuerySet> train, std::uint64_t seed) {
  RA_CHECK(keys.rows > 0 && values.rows == keys.rows);
  dim_ = keys.cols;
  value_dim_ = values.cols;
  if (index::has_queries(train) || metric_.a.rows() == 0)
    metric_ = index::fit_query_metric(keys, train);
  index::BuildClock clock;
  std::int64_t distances = 0;
  const index::Clustering found =
      index::kmeans(index::transform_keys(metric_, keys).view(),
                    {.cells = std::max<std::size_t>(1, keys.rows / kTailCellKeys),
                     .seed = seed,
                     .stream = pieces_.size()},
                    clock, distances);
  const std::size_t first = cells();
  pieces_.push_back(static_cast<std::uint32_t>(first));
  std::vector<float> counts(found.cells);
  for (const std::uint32_t cell : found.cell_of) counts[cell] += 1;
  add_means(
      keys.rows, dim_, found.cell_of, counts,
      [&](std::size_t i, std::size_t j) { return static_cast<double>(keys.row(i)[j]); }, means_);
  add_means(
      keys.rows, dim_, found.cell_of, counts,
      [&](std::size_t i, std::size_t j) {
        const double d =
            static_cast<double>(keys.row(i)[j] - means_[(first + found.cell_of[i]) * dim_ + j]);
        return d * d;
      },
      variances_);
  add_means(
      keys.rows, value_dim_, found.cell_of, counts,
      [&](std::size_t i, std::size_t j) { return static_cast<double>(values.row(i)[j]); }, values_);
  counts_.insert(counts_.end(), counts.begin(), counts.end());
  for (const std::uint32_t cell : found.cell_of)
    cell_of_.push_back(static_cast<std::uint32_t>(first) + cell);
}

void TailCells::shrink(std::size_t n) {
  RA_CHECK(n <= keys());
  if (n == keys()) return;
  const std::uint32_t cells = cell_of_.empty() ? 0 : cell_of_[n];
  while (!pieces_.empty() && pieces_.back() > cells) pieces_.pop_back();
  RA_CHECK(!pieces_.empty());
  const std::size_t kept = pieces_.back();
  pieces_.pop_back();
  cell_of_.resize(n);
  RA_CHECK(std::ranges::all_of(cell_of_, [&](std::uint32_t cell) { return cell < kept; }));
  counts_.resize(kept);
  means_.resize(kept * dim_);
  variances_.resize(kept * dim_);
  values_.resize(kept * value_dim_);
}

std::size_t TailCells::bytes() const {
  return cell_of_.size() * sizeof(std::uint32_t) + read_bytes() + metric_.a.bytes() +
         metric_.a_inverse.bytes();
}

std::size_t TailCells::bytes_of(std::size_t keys, std::size_t dim, std::size_t value_dim) {
  const std::size_t cells = keys / kTailCellKeys + 1;
  return (keys + cells * (1 + 2 * dim + value_dim) + 2 * dim * dim) * sizeof(float);
}

std::size_t TailCells::read_bytes() const {
  return (counts_.size() + means_.size() + variances_.size() + values_.size()) * sizeof(float);
}

void TailCells::estimate(MatView<const float> q, float scale,
                         std::span<const std::span<const index::Hit>> hits, Scratch& s,
                         std::span<kernels::Partial> out) const {
  RA_CHECK(q.cols == dim_ && hits.size() == q.rows && out.size() == q.rows);
  const std::size_t n = cells(), rows = q.rows;
  s.squares.resize(std::max(s.squares.size(), rows * dim_));
  s.means.resize(std::max(s.means.size(), rows * n));
  s.variances.resize(std::max(s.variances.size(), rows * n));
  s.taken.resize(std::max(s.taken.size(), n));
  for (std::size_t r = 0; r < rows; ++r)
    std::transform(q.row(r), q.row(r) + dim_, &s.squares[r * dim_], [](float v) { return v * v; });
  kernels::ScoreArgs args{.q = q.data,
                          .q_stride = q.stride,
                          .group = rows,
                          .dim = dim_,
                          .keys = means_.data(),
                          .type = kernels::KvType::kF32,
                          .key_stride = dim_,
                          .n = n,
                          .out = s.means.data(),
                          .out_stride = n};
  kernels::ops().score(args);
  args.q = s.squares.data();
  args.q_stride = dim_;
  args.keys = variances_.data();
  args.out = s.variances.data();
  kernels::ops().score(args);
  for (std::size_t r = 0; r < rows; ++r) {
    float* const logits = &s.means[r * n];
    const float* const variances = &s.variances[r * n];
    std::fill_n(s.taken.begin(), n, Scratch::Taken{});
    for (const index::Hit& hit : hits[r]) {
      if (hit.id >= keys()) continue;
      Scratch::Taken& taken = s.taken[cell_of_[hit.id]];
      const float d = hit.score - logits[cell_of_[hit.id]];
      taken.count += 1;
      taken.sum += d;
      taken.squares += d * d;
    }
    const auto worst = std::ranges::min_element(hits[r], {}, &index::Hit::score);
    const float cap =
        worst == hits[r].end() ? std::numeric_limits<float>::infinity() : worst->score * scale;
    kernels::Partial& total = out[r];
    float top = total.max;
    for (std::size_t c = 0; c < n; ++c) {
      const Scratch::Taken& taken = s.taken[c];
      const float left = counts_[c] - taken.count;
      if (left < 0.5f) {
        logits[c] = -std::numeric_limits<float>::infinity();
        continue;
      }
      const float shift = -taken.sum / left;
      const float variance =
          std::max(0.0f, (counts_[c] * variances[c] - taken.squares) / left - shift * shift);
      const float logit = scale * (logits[c] + shift) + 0.25f * scale * scale * variance;
      logits[c] = std::min(logit, cap) + std::log(left);
      top = std::max(top, logits[c]);
    }
    if (top == -std::numeric_limits<float>::infinity()) continue;
    const float rescale = total.sum > 0 ? std::exp(total.max - top) : 0;
    for (std::size_t j = 0; j < value_dim_; ++j) total.acc[j] *= rescale;
    total.sum *= rescale;
    total.max = top;
    for (std::size_t c = 0; c < n; ++c) {
      const float weight = std::exp(logits[c] - top);
      const float* const value = &values_[c * value_dim_];
      total.sum += weight;
      for (std::size_t j = 0; j < value_dim_; ++j) total.acc[j] += weight * value[j];
    }
  }
}

}  // namespace ra::attention
