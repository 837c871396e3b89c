// SPDX-License-Identifier: Apache-2.0
#include "lib/index/beam_search.h"

#include <algorithm>

#include "lib/index/scores.h"

namespace ra::index {
namespace {

using Node = BeamScratch::Node;

bool before(const Node& a, const Node& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

// Inserts into the sorted pool of at most `keep`; returns the position, or `keep` if it is no
// better than the last of a full pool.
std::size_t insert(std::vector<Node>& pool, std::size_t keep, const Node& node) {
  if (pool.size() == keep) {
    if (!before(node, pool.back())) return keep;
    pool.pop_back();
  }
  const auto place = std::upper_bound(pool.begin(), pool.end(), node, before);
  return static_cast<std::size_t>(pool.insert(place, node) - pool.begin());
}

// score(nodes, out): scores of nodes.
template <class Score>
BeamCounts search(const Graph& graph, const Score& score, std::span<const std::uint32_t> entries,
                  const BeamParams& params, BeamScratch& scratch, std::vector<Hit>* expanded) {
  BeamCounts counts;
  const std::size_t keep = std::max<std::size_t>({params.keep, params.beam, 1});
  std::vector<Node>& pool = scratch.pool;
  std::vector<std::uint32_t>& batch = scratch.batch;
  std::vector<float>& scores = scratch.scores;
  scratch.visited.start(graph.size());
  scratch.named.start(graph.size());
  for (const std::uint32_t node : params.named) scratch.named.insert(node);
  pool.clear();
  if (expanded) expanded->clear();
  std::size_t next = 0;  // no node before it waits for expansion

  const auto score_unseen = [&](std::span<const std::uint32_t> nodes, std::size_t at_once) {
    batch.clear();
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i] >= params.below || (i >= at_once && scratch.named.insert(nodes[i]))) continue;
      if (scratch.visited.insert(nodes[i])) batch.push_back(nodes[i]);
    }
    scores.resize(std::max(scores.size(), batch.size()));
    score(batch, scores.data());
    counts.distances += static_cast<std::int64_t>(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i)
      next = std::min(next, insert(pool, keep, {scores[i], batch[i], false}));
  };

  score_unseen(entries, entries.size());
  next = 0;
  while (next < std::min(pool.size(), params.beam)) {
    Node& node = pool[next];
    if (node.expanded) {
      ++next;
      continue;
    }
    node.expanded = true;
    ++counts.hops;
    if (expanded) expanded->push_back({node.id, node.score});
    score_unseen(graph.links(node.id), params.first);
  }
  return counts;
}

}  // namespace

BeamCounts beam_search(const Graph& graph, MatView<const float> vectors, const float* query,
                       std::span<const std::uint32_t> entries, const BeamParams& params,
                       BeamScratch& scratch, std::vector<Hit>* expanded) {
  const auto score = [&](std::span<const std::uint32_t> nodes, float* out) {
    score_ids(query, vectors, nodes, out);
  };
  return search(graph, score, entries, params, scratch, expanded);
}

BeamCounts beam_search(const Graph& graph, const KeyRows& keys, const float* query,
                       std::span<const std::uint32_t> entries, const BeamParams& params,
                       BeamScratch& scratch) {
  const auto score = [&](std::span<const std::uint32_t> nodes, float* out) {
    keys.score_ids({query, 1, keys.cols()}, nodes, out, nodes.size());
  };
  return search(graph, score, entries, params, scratch, nullptr);
}

}  // namespace ra::index
