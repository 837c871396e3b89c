// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/hit_cut.h"

#include <algorithm>
#include <cmath>

namespace ra::attention {

std::size_t kept_hits(const HitCut& cut, std::span<const index::Hit> hits, float scale,
                      const kernels::Partial& fixed) {
  if (hits.empty() || !cut.active()) return hits.size();
  const float top = std::max(fixed.max, hits.front().score * scale);
  const auto below = [&](const index::Hit& hit) { return hit.score * scale - top; };
  std::size_t kept = static_cast<std::size_t>(
      std::ranges::partition_point(
          hits,
          [&](const index::Hit& hit) { return -static_cast<double>(below(hit)) <= cut.range; }) -
      hits.begin());
  if (cut.top_p >= 1) return kept;
  double all = fixed.sum > 0 ? static_cast<double>(fixed.sum * std::exp(fixed.max - top)) : 0;
  double held = all;
  for (const index::Hit& hit : hits) all += static_cast<double>(std::exp(below(hit)));
  for (std::size_t i = 0; i < kept; ++i) {
    if (held >= cut.top_p * all) return i;
    held += static_cast<double>(std::exp(below(hits[i])));
  }
  return kept;
}

}  // namespace ra::attention
