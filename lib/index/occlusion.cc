// SPDX-License-Identifier: Apache-2.0
#include "lib/index/occlusion.h"

#include <algorithm>
#include <limits>

#include "kernels/ops.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

// True if a kept node is nearer to the candidate than its pivot is. In small blocks: most
// candidates are occluded by one of the first few.
bool occluded(MatView<const float> x, const Hit& candidate, std::span<const std::uint32_t> kept,
              std::int64_t& distances) {
  constexpr std::size_t kBlock = 8;
  float nearness[kBlock];
  for (std::size_t i = 0; i < kept.size(); i += kBlock) {
    const auto block = kept.subspan(i, std::min(kBlock, kept.size() - i));
    score_ids(x.row(candidate.id), x, block, nearness);
    distances += static_cast<std::int64_t>(block.size());
    for (std::size_t j = 0; j < block.size(); ++j)
      if (nearness[j] > candidate.score) return true;
  }
  return false;
}

}  // namespace

std::int64_t select_links(MatView<const float> x, std::span<const Hit> candidates,
                          std::size_t limit, bool fill, std::vector<std::uint32_t>& kept) {
  std::int64_t distances = 0;
  kept.clear();
  std::vector<std::uint32_t> rejected;
  for (const Hit& candidate : candidates) {
    if (kept.size() == limit) return distances;
    if (!occluded(x, candidate, kept, distances)) {
      kept.push_back(candidate.id);
    } else if (fill && rejected.size() < limit) {
      rejected.push_back(candidate.id);
    }
  }
  const std::size_t free = std::min(rejected.size(), limit - kept.size());
  kept.insert(kept.end(), rejected.begin(), rejected.begin() + static_cast<std::ptrdiff_t>(free));
  return distances;
}

std::int64_t rank_candidates(MatView<const float> x, std::uint32_t pivot,
                             std::vector<std::uint32_t>& ids, std::vector<Hit>& candidates) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::erase(ids, pivot);
  std::vector<float> nearness(ids.size());
  score_ids(x.row(pivot), x, ids, nearness.data());
  candidates.clear();
  for (std::size_t i = 0; i < ids.size(); ++i) candidates.push_back({ids[i], nearness[i]});
  std::sort(candidates.begin(), candidates.end(), better);
  return static_cast<std::int64_t>(ids.size());
}

std::int64_t select_among(MatView<const float> x, std::uint32_t pivot,
                          std::span<const std::uint32_t> ids, std::size_t limit,
                          OcclusionScratch& s, std::vector<std::uint32_t>& kept) {
  constexpr float kGone = std::numeric_limits<float>::infinity();
  kept.clear();
  const std::size_t n = ids.size(), dim = x.cols;
  if (s.differences.size() < n * dim) {
    s.differences = AlignedBuffer<float>(n * dim);
    s.products = AlignedBuffer<float>(n * n);
    s.packed = AlignedBuffer<std::byte>(kernels::gemm_packed_bytes(n, dim));
  }
  if (s.gemm.size() == 0) s.gemm = AlignedBuffer<std::byte>(kernels::gemm_scratch_bytes(dim));
  s.square.assign(n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    float* row = s.differences.data() + i * dim;
    for (std::size_t j = 0; j < dim; ++j) row[j] = x.row(ids[i])[j] - x.row(pivot)[j];
    s.square[i] = dot(row, row, dim);
  }
  const MatView<const float> rows{s.differences.data(), n, dim, dim};
  const auto pack = kernels::ops().gemm_pack;
  if (pack != nullptr) pack(rows.data, dim, n, dim, s.packed.data());
  score_tile(rows, pack != nullptr ? s.packed.data() : nullptr, rows, nullptr, s.gemm.data(),
             s.products.data(), n);
  s.open = s.square;
  while (kept.size() < limit) {
    const auto nearest = std::min_element(s.open.begin(), s.open.end());
    if (nearest == s.open.end() || *nearest == kGone) break;
    const auto at = static_cast<std::size_t>(nearest - s.open.begin());
    kept.push_back(ids[at]);
    *nearest = kGone;
    // |a - b| < |b| if and only if a.b > |a|^2 / 2.
    const float* with = s.products.data() + at * n;
    const float half = 0.5f * s.square[at];
    for (std::size_t j = 0; j < n; ++j) s.open[j] = with[j] > half ? kGone : s.open[j];
  }
  return static_cast<std::int64_t>(n + n * n);
}

}  // namespace ra::index
