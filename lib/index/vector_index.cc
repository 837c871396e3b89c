// SPDX-License-Identifier: Apache-2.0
#include "lib/index/vector_index.h"

#include <algorithm>
#include <limits>

namespace ra::index {

SearchStats VectorIndex::shortlist(MatView<const float> queries, const SearchParams& p,
                                   SearchScratch& scratch, Shortlist& list) const {
  std::vector<std::vector<Hit>> hits(queries.rows);
  SearchParams any = p;
  any.ranked = false;
  SearchStats stats = search(queries, any, scratch, hits);
  auto& ids = list.ids;
  ids.clear();
  list.floors.clear();
  for (const auto& of_row : hits) {
    const bool full = !of_row.empty() && of_row.size() >= static_cast<std::size_t>(p.k);
    list.floors.push_back(full ? std::ranges::min(of_row, {}, &Hit::score).score
                               : -std::numeric_limits<float>::infinity());
    for (const Hit& hit : of_row) ids.push_back(hit.id);
  }
  stats.distances -= std::ssize(ids);  // which the search has counted for one query each
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  stats.distances += static_cast<std::int64_t>(queries.rows * ids.size());
  return stats;
}

}  // namespace ra::index
