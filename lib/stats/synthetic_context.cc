// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/synthetic_context.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"

namespace ra::stats {
namespace {

constexpr std::uint64_t kRunStream = 1, kNoiseStream = 2;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

}  // namespace

void turn(const RotaryPairs& pairs, std::int64_t positions, std::span<float> row,
          std::size_t head_dim) {
  const std::size_t half = pairs.inv_freq.size();
  RA_CHECK(2 * half <= head_dim && row.size() % head_dim == 0);
  if (half == 0) return;
  std::vector<float> table(2 * half);
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(positions) * pairs.inv_freq[i];
    table[i] = static_cast<float>(std::cos(angle));
    table[half + i] = static_cast<float>(std::sin(angle));
  }
  kernels::ops().rope({.x = row.data(),
                       .cos = table.data(),
                       .sin = table.data() + half,
                       .heads = row.size() / head_dim,
                       .head_dim = head_dim,
                       .rotary_dims = 2 * half,
                       .interleaved = pairs.interleaved});
}

SyntheticContext::SyntheticContext(Matrix<float> keys, std::size_t head_dim, RotaryPairs pairs,
                                   std::int64_t length, std::uint64_t seed)
    : plain_(std::move(keys)),
      mean_(plain_.cols()),
      head_dim_(head_dim),
      pairs_(std::move(pairs)),
      length_(length),
      seed_(seed) {
  const auto n = static_cast<std::int64_t>(plain_.rows());
  RA_CHECK(n >= 32 && length >= 32 && plain_.cols() % head_dim == 0);
  head_ = std::min<std::int64_t>(128, std::min(n, length) / 8);
  tail_ = std::min<std::int64_t>(1024, std::min(n, length) / 8);
  parallel_for(plain_.rows(), [&](std::size_t p, int) {
    turn(pairs_, -static_cast<std::int64_t>(p), plain_.row_span(p), head_dim_);
  });
  std::vector<double> sums(plain_.cols());
  for (std::int64_t p = head_; p < n - tail_; ++p)
    for (std::size_t d = 0; d < sums.size(); ++d) sums[d] += plain_.row(size(p))[d];
  std::ranges::transform(sums, mean_.begin(), [&](double s) {
    return static_cast<float>(s / static_cast<double>(n - tail_ - head_));
  });
  // Runs start in a stretch of kDrift of the real positions around the same fraction of them.
  const std::int64_t drawn = length_ - head_ - tail_;
  const double begins = static_cast<double>(std::max<std::int64_t>(1, n - head_ - tail_ - kRun)),
               stretch = begins * kDrift;
  for (std::int64_t at = 0; at < drawn; at += kRun) {
    Rng rng(seed_, kRunStream, size(at));
    const double centre = begins * static_cast<double>(at) / static_cast<double>(drawn),
                 from = std::clamp(centre - stretch / 2, 0.0, begins - stretch);
    runs_.push_back(head_ + static_cast<std::int64_t>(from + stretch * rng.uniform()));
  }
}

std::int64_t SyntheticContext::source(std::int64_t pos) const {
  const auto n = static_cast<std::int64_t>(plain_.rows());
  if (pos < head_) return pos;
  if (pos >= length_ - tail_) return n - (length_ - pos);
  const std::int64_t at = pos - head_;
  // Where fewer than a run's positions can be drawn from, a run goes round.
  return head_ + (runs_[size(at / kRun)] - head_ + at % kRun) % (n - head_ - tail_);
}

std::int64_t SyntheticContext::phase(std::int64_t pos) const {
  const auto n = static_cast<std::int64_t>(plain_.rows());
  if (pos < head_) return pos;
  if (pos >= length_ - tail_) return n - (length_ - pos);
  const std::int64_t at = pos - head_, begin = at / kRun * kRun;
  const double squeeze =
      static_cast<double>(n - head_ - tail_) / static_cast<double>(length_ - head_ - tail_);
  return head_ + static_cast<std::int64_t>(static_cast<double>(begin) * squeeze) + at % kRun;
}

void SyntheticContext::keys(std::int64_t first, MatView<float> out) const {
  RA_CHECK(out.cols == plain_.cols() && first >= 0 &&
           first + static_cast<std::int64_t>(out.rows) <= length_);
  const auto n = static_cast<std::int64_t>(plain_.rows());
  const auto keep = static_cast<float>(std::sqrt(1 - kSmooth * kSmooth)),
             noise = static_cast<float>(kSmooth / std::numbers::sqrt2);
  parallel_for((out.rows + kRun - 1) / kRun, [&](std::size_t part, int) {
    for (std::size_t r = part * kRun; r < std::min<std::size_t>(out.rows, (part + 1) * kRun); ++r) {
      const std::int64_t pos = first + static_cast<std::int64_t>(r);
      const std::span<float> row{out.row(r), out.cols};
      std::ranges::copy(plain_.row_span(size(source(pos))), row.begin());
      if (pos >= head_ && pos < length_ - tail_)
        for (std::size_t from = 0; from < row.size(); from += head_dim_) {
          Rng rng(seed_, kNoiseStream, size(pos), from);
          const auto real = static_cast<std::uint64_t>(n - head_ - tail_);
          const float* a = plain_.row(size(head_) + rng.below(real));
          const float* b = plain_.row(size(head_) + rng.below(real));
          for (std::size_t d = from; d < from + head_dim_; ++d)
            row[d] = mean_[d] + keep * (row[d] - mean_[d]) + noise * (a[d] - b[d]);
        }
      turn(pairs_, phase(pos), row, head_dim_);
    }
  });
}

}  // namespace ra::stats
