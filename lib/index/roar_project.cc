// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar_project.h"

#include <algorithm>
#include <atomic>

#include "lib/index/occlusion.h"

namespace ra::index {
namespace {

constexpr std::size_t kGrain = 64;

// Queries of each pivot, ascending.
LinkLists queries_by_pivot(const KnnTable& table, std::size_t keys, std::size_t pivots) {
  LinkLists out(keys);
  for (std::size_t q = 0; q < table.queries; ++q)
    for (std::size_t i = 0; i < std::min(pivots, table.k); ++i)
      out[table.row(q)[i]].push_back(static_cast<std::uint32_t>(q));
  return out;
}

// The ids of all lists, the `cap` that most lists name; ties to the smaller id.
std::vector<std::uint32_t> most_voted(const KnnTable& table, std::span<const std::uint32_t> queries,
                                      std::size_t cap) {
  std::vector<std::uint32_t> all;
  for (const std::uint32_t q : queries)
    all.insert(all.end(), table.row(q).begin(), table.row(q).end());
  std::sort(all.begin(), all.end());
  struct Vote {
    std::uint32_t id, count;
  };
  std::vector<Vote> votes;
  for (const std::uint32_t id : all) {
    if (votes.empty() || votes.back().id != id) votes.push_back({id, 0});
    ++votes.back().count;
  }
  if (votes.size() > cap) {
    std::nth_element(votes.begin(), votes.begin() + static_cast<std::ptrdiff_t>(cap), votes.end(),
                     [](const Vote& a, const Vote& b) {
                       return a.count > b.count || (a.count == b.count && a.id < b.id);
                     });
    votes.resize(cap);
  }
  std::vector<std::uint32_t> ids(votes.size());
  std::transform(votes.begin(), votes.end(), ids.begin(), [](const Vote& v) { return v.id; });
  return ids;
}

LinkLists project_pooled(MatView<const float> x, const KnnTable& table, const ProjectParams& params,
                         BuildClock& clock, std::atomic<std::int64_t>& distances) {
  const LinkLists queries = queries_by_pivot(table, x.rows, params.pivots);
  LinkLists links(x.rows);
  clock.parallel(x.rows, kGrain, [&](std::size_t first, std::size_t last) {
    std::vector<Hit> candidates;
    std::int64_t done = 0;
    for (std::size_t p = first; p < last; ++p) {
      if (queries[p].empty()) continue;
      auto ids = most_voted(table, queries[p], params.pool_cap);
      done += rank_candidates(x, static_cast<std::uint32_t>(p), ids, candidates);
      done += select_links(x, candidates, params.m, true, links[p]);
    }
    distances += done;
  });
  return links;
}

// As published: queries are taken in order, each overwrites the links of its pivot and adds the
// pivot to the lists of the keys it linked. A list therefore holds the selection of the last query
// with that pivot, and the pivots that later queries added.
LinkLists project_overwriting(MatView<const float> x, const KnnTable& table,
                              const ProjectParams& params, BuildClock& clock,
                              std::atomic<std::int64_t>& distances) {
  LinkLists kept(table.queries);
  clock.parallel(table.queries, kGrain, [&](std::size_t first, std::size_t last) {
    std::vector<Hit> candidates;
    std::int64_t done = 0;
    for (std::size_t q = first; q < last; ++q) {
      const auto row = table.row(q);
      std::vector<std::uint32_t> ids(row.begin() + 1, row.end());
      done += rank_candidates(x, row[0], ids, candidates);
      done += select_links(x, candidates, params.m, true, kept[q]);
    }
    distances += done;
  });
  LinkLists links(x.rows);
  for (std::size_t q = 0; q < table.queries; ++q) {
    const std::uint32_t pivot = table.row(q)[0];
    links[pivot] = kept[q];
    for (const std::uint32_t to : kept[q]) links[to].push_back(pivot);
  }
  clock.parallel(x.rows, kGrain, [&](std::size_t first, std::size_t last) {
    std::vector<Hit> candidates;
    std::int64_t done = 0;
    for (std::size_t p = first; p < last; ++p) {
      done += rank_candidates(x, static_cast<std::uint32_t>(p), links[p], candidates);
      if (links[p].size() > params.m) done += select_links(x, candidates, params.m, true, links[p]);
    }
    distances += done;
  });
  return links;
}

}  // namespace

LinkLists add_reverse_links(MatView<const float> x, const LinkLists& links, std::size_t limit,
                            bool fill, BuildClock& clock, std::int64_t& distances) {
  const LinkLists in = reversed(links);
  LinkLists out(links.size());
  std::atomic<std::int64_t> total{0};
  clock.parallel(links.size(), kGrain, [&](std::size_t first, std::size_t last) {
    std::vector<Hit> candidates;
    std::int64_t done = 0;
    for (std::size_t p = first; p < last; ++p) {
      std::vector<std::uint32_t> ids = links[p];
      ids.insert(ids.end(), in[p].begin(), in[p].end());
      done += rank_candidates(x, static_cast<std::uint32_t>(p), ids, candidates);
      if (ids.size() > limit) {
        done += select_links(x, candidates, limit, fill, out[p]);
      } else {
        for (const Hit& candidate : candidates) out[p].push_back(candidate.id);
      }
    }
    total += done;
  });
  distances += total;
  return out;
}

LinkLists project(MatView<const float> x, const KnnTable& table, const ProjectParams& params,
                  BuildClock& clock, std::int64_t& distances) {
  if (table.k == 0) return LinkLists(x.rows);
  std::atomic<std::int64_t> total{0};
  const LinkLists links = params.pool ? project_pooled(x, table, params, clock, total)
                                      : project_overwriting(x, table, params, clock, total);
  distances += total;
  return add_reverse_links(x, links, params.m, true, clock, distances);
}

}  // namespace ra::index
