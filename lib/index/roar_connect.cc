// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar_connect.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>
#include <queue>

#include "lib/core/rng.h"
#include "lib/index/beam_search.h"
#include "lib/index/occlusion.h"
#include "lib/index/scores.h"
#include "lib/index/top_k.h"

namespace ra::index {
namespace {

constexpr std::size_t kGrain = 32;

void append_distinct(std::vector<std::uint32_t>& list, std::span<const std::uint32_t> more) {
  for (const std::uint32_t id : more)
    if (std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
}

}  // namespace

std::uint32_t central_key(MatView<const float> x, const LinkLists& links) {
  const bool any =
      std::any_of(links.begin(), links.end(), [](const auto& l) { return !l.empty(); });
  std::vector<double> sum(x.cols, 0);
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < x.cols; ++j) sum[j] += x.row(i)[j];
  std::uint32_t best = 0;
  double best_distance = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < x.rows; ++i) {
    if (any && links[i].empty()) continue;
    double distance = 0;
    for (std::size_t j = 0; j < x.cols; ++j) {
      const double d = x.row(i)[j] - sum[j] / static_cast<double>(x.rows);
      distance += d * d;
    }
    if (distance < best_distance) {
      best_distance = distance;
      best = static_cast<std::uint32_t>(i);
    }
  }
  return best;
}

std::vector<std::uint32_t> hub_keys(const KnnTable& table, std::size_t keys, std::size_t count) {
  LinkLists queries(keys);
  for (std::size_t q = 0; q < table.queries; ++q)
    for (const std::uint32_t id : table.row(q))
      queries[id].push_back(static_cast<std::uint32_t>(q));
  // Counts only fall, so a key whose refreshed count still leads the heap is the best (lazy
  // greedy).
  using Entry = std::pair<std::size_t, std::uint32_t>;
  const auto worse = [](const Entry& a, const Entry& b) {
    return a.first < b.first || (a.first == b.first && a.second > b.second);
  };
  std::priority_queue<Entry, std::vector<Entry>, decltype(worse)> heap(worse);
  for (std::uint32_t id = 0; id < keys; ++id)
    if (!queries[id].empty()) heap.emplace(queries[id].size(), id);
  std::vector<std::uint8_t> covered(table.queries, 0);
  std::vector<std::uint32_t> hubs;
  while (hubs.size() < count && !heap.empty()) {
    const auto [stale, id] = heap.top();
    heap.pop();
    const auto fresh = static_cast<std::size_t>(
        std::count_if(queries[id].begin(), queries[id].end(), [&](auto q) { return !covered[q]; }));
    if (fresh == 0) continue;
    if (fresh < stale) {
      heap.emplace(fresh, id);
      continue;
    }
    hubs.push_back(id);
    for (const std::uint32_t q : queries[id]) covered[q] = 1;
  }
  return hubs;
}

namespace {

// Links of the batch's keys to what searches for them expand in the graph so far.
void link_batch(MatView<const float> x, const Graph& graph, std::span<const std::uint32_t> entries,
                std::span<const std::uint32_t> batch, const ConnectParams& params, LinkLists& found,
                BuildClock& clock, std::atomic<std::int64_t>& distances) {
  clock.parallel(batch.size(), kGrain, [&](std::size_t first, std::size_t last) {
    BeamScratch scratch;
    std::vector<Hit> expanded;
    std::int64_t done = 0;
    for (const std::uint32_t node : batch.subspan(first, last - first)) {
      done += beam_search(graph, x, x.row(node), entries, {params.beam, params.beam}, scratch,
                          &expanded)
                  .distances;
      const auto known = graph.links(node);
      std::erase_if(expanded, [&](const Hit& hit) {
        return hit.id == node || std::find(known.begin(), known.end(), hit.id) != known.end();
      });
      std::sort(expanded.begin(), expanded.end(), better);
      done += select_links(x, expanded, params.m, false, found[node]);
    }
    distances += done;
  });
}

// Joins new links and their reverses to `extra`, at most m of each key.
void join_links(MatView<const float> x, const LinkLists& found, std::size_t m, LinkLists& extra,
                BuildClock& clock, std::atomic<std::int64_t>& distances) {
  const LinkLists in = reversed(found);
  clock.parallel(x.rows, kGrain, [&](std::size_t first, std::size_t last) {
    std::vector<Hit> candidates;
    std::vector<std::uint32_t> kept;
    std::int64_t done = 0;
    for (std::size_t i = first; i < last; ++i) {
      if (found[i].empty() && in[i].empty()) continue;
      append_distinct(extra[i], found[i]);
      append_distinct(extra[i], in[i]);
      if (extra[i].size() <= m) continue;
      done += rank_candidates(x, static_cast<std::uint32_t>(i), extra[i], candidates);
      done += select_links(x, candidates, m, false, kept);
      extra[i].swap(kept);
    }
    distances += done;
  });
}

LinkLists joined(const LinkLists& links, const LinkLists& extra) {
  LinkLists out = links;
  for (std::size_t i = 0; i < out.size(); ++i) append_distinct(out[i], extra[i]);
  return out;
}

}  // namespace

void connect(MatView<const float> x, std::span<const std::uint32_t> entries,
             const ConnectParams& params, LinkLists& links, BuildClock& clock,
             std::int64_t& distances) {
  std::vector<std::uint32_t> order(x.rows);
  std::iota(order.begin(), order.end(), 0u);
  Rng rng(params.seed);
  if (params.batches > 1)
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  LinkLists extra(x.rows);
  std::atomic<std::int64_t> total{0};
  for (std::size_t b = 0; b < params.batches; ++b) {
    const std::size_t first = b * order.size() / params.batches;
    const std::size_t last = (b + 1) * order.size() / params.batches;
    if (first == last) continue;
    const Graph graph(joined(links, extra));
    LinkLists found(x.rows);
    link_batch(x, graph, entries, std::span(order).subspan(first, last - first), params, found,
               clock, total);
    join_links(x, found, params.m, extra, clock, total);
  }
  links = joined(links, extra);
  distances += total;
}

void repair(MatView<const float> x, std::span<const std::uint32_t> entries, LinkLists& links,
            std::int64_t& distances) {
  constexpr std::size_t kBeam = 32;
  const Graph graph(links);
  std::vector<std::uint8_t> reached = reachable_from(graph, entries);
  BeamScratch scratch;
  std::vector<std::uint32_t> stack;
  for (std::uint32_t node = 0; node < links.size(); ++node) {
    if (reached[node]) continue;
    distances += beam_search(graph, x, x.row(node), entries, {kBeam, kBeam}, scratch).distances;
    links[scratch.pool.front().id].push_back(node);
    for (reached[node] = 1, stack.push_back(node); !stack.empty();) {
      const std::uint32_t from = stack.back();
      stack.pop_back();
      for (const std::uint32_t to : graph.links(from)) {
        if (!reached[to]) stack.push_back(to);
        reached[to] = 1;
      }
    }
  }
}

}  // namespace ra::index
