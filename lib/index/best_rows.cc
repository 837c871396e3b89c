// SPDX-License-Identifier: Apache-2.0
#include "lib/index/best_rows.h"

#include <algorithm>
#include <limits>

#include "kernels/ops.h"
#include "lib/core/error.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// A tile of scores (1 MiB) stays in the second-level cache between product and selection. Its rows
// do not lie a power of two apart, or a block of them would fall into few sets of the first level.
constexpr std::size_t kChunk = 512, kStride = kChunk + 16;

}  // namespace

void BestOfStream::reset(std::size_t m, std::span<const Hit> so_far) {
  RA_CHECK(so_far.size() <= m);
  m_ = m;
  floor_ =
      m == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  kept_.assign(so_far.begin(), so_far.end());
  if (m > 0 && kept_.size() == m)
    floor_ = std::max_element(kept_.begin(), kept_.end(), better)->score;
}

void BestOfStream::push_range(const float* scores, std::size_t n, std::uint32_t first_id) {
  constexpr std::size_t kStep = 128;
  std::uint32_t at[kStep];
  for (std::size_t j = 0; m_ > 0 && j < n; j += kStep) {
    const std::size_t entering =
        kernels::ops().at_least(scores + j, std::min(kStep, n - j), floor_, kStep, at);
    for (std::size_t i = 0; i < entering; ++i)
      kept_.push_back({first_id + static_cast<std::uint32_t>(j) + at[i], scores[j + at[i]]});
    if (kept_.size() >= 2 * m_) cut();
  }
}

std::span<const Hit> BestOfStream::kept() {
  if (kept_.size() > m_) cut();
  return kept_;
}

std::span<const Hit> BestOfStream::ranked() {
  (void)kept();
  std::sort(kept_.begin(), kept_.end(), better);
  return kept_;
}

void BestOfStream::cut() {
  const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(m_ - 1);
  std::nth_element(kept_.begin(), last, kept_.end(), better);
  floor_ = last->score;
  kept_.resize(m_);
}

void BestRows::reset(MatView<const float> queries, std::size_t m, bool narrow) {
  RA_CHECK(queries.rows <= kTile);
  queries_ = queries;
  const auto pack = kernels::ops().gemm_pack;
  narrow_ = narrow && pack != nullptr;
  scores_.reserve_discard(kTile * kStride);
  scratch_.reserve_discard(kernels::gemm_scratch_bytes(queries.cols));
  if (narrow_) packed_.reserve_discard(kernels::gemm_packed_bytes(kTile, queries.cols));
  if (narrow_) pack(queries.data, queries.stride, queries.rows, queries.cols, packed_.data());
  best_.resize(std::max(best_.size(), queries.rows));
  for (std::size_t q = 0; q < queries.rows; ++q) best_[q].reset(m);
}

void BestRows::offer(MatView<const float> rows, const float* bias, std::uint32_t first_id) {
  for (std::size_t i = 0; i < rows.rows; i += kChunk) {
    const std::size_t count = std::min(kChunk, rows.rows - i);
    score_tile(queries_, narrow_ ? packed_.data() : nullptr, rows.row_range(i, count),
               bias == nullptr ? nullptr : bias + i, scratch_.data(), scores_.data(), kStride);
    for (std::size_t q = 0; q < queries_.rows; ++q)
      best_[q].push_range(scores_.data() + q * kStride, count,
                          first_id + static_cast<std::uint32_t>(i));
  }
}

}  // namespace ra::index
