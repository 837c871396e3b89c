// SPDX-License-Identifier: Apache-2.0
#include "lib/index/vector_index.h"

#include <algorithm>
#include <limits>

namespace ra::index {

void Shortlist::append(const Shortlist& other) {
  const auto add = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  add(ids, other.ids);
  add(floors, other.floors);
  add(rest.sums, other.rest.sums);
  add(rest.values, other.rest.values);
  rest.stride = other.rest.stride;
}

void join_rows(Shortlist& list, std::size_t rows, SearchStats& stats) {
  stats.distances -= std::ssize(list.ids);
  std::ranges::sort(list.ids);
  list.ids.erase(std::ranges::unique(list.ids).begin(), list.ids.end());
  stats.distances += static_cast<std::int64_t>(rows * list.ids.size());
}

SearchStats VectorIndex::shortlist(MatView<const float> queries, const SearchParams& p,
                                   SearchScratch& scratch, Shortlist& list) const {
  std::vector<std::vector<Hit>> hits(queries.rows);
  SearchParams any = p;
  any.ranked = false;
  SearchStats stats = search(queries, any, scratch, hits);
  list.clear();
  for (const auto& of_row : hits) {
    const bool full = !of_row.empty() && of_row.size() >= static_cast<std::size_t>(p.k);
    list.floors.push_back(full ? std::ranges::min(of_row, {}, &Hit::score).score
                               : -std::numeric_limits<float>::infinity());
    for (const Hit& hit : of_row) list.ids.push_back(hit.id);
  }
  join_rows(list, queries.rows, stats);
  return stats;
}

}  // namespace ra::index
