// SPDX-License-Identifier: Apache-2.0
#include "lib/index/graph.h"

#include <algorithm>
#include <numeric>

namespace ra::index {

Graph::Graph(const LinkLists& links) : offsets_(1, 0) {
  offsets_.reserve(links.size() + 1);
  for (const auto& list : links) offsets_.push_back(offsets_.back() + list.size());
  links_.reserve(offsets_.back());
  for (const auto& list : links) links_.insert(links_.end(), list.begin(), list.end());
}

std::size_t Graph::max_degree() const {
  std::size_t largest = 0;
  for (std::size_t i = 0; i < size(); ++i)
    largest = std::max<std::size_t>(largest, offsets_[i + 1] - offsets_[i]);
  return largest;
}

LinkLists reversed(const LinkLists& links) {
  LinkLists in(links.size());
  for (std::size_t from = 0; from < links.size(); ++from)
    for (const std::uint32_t to : links[from]) in[to].push_back(static_cast<std::uint32_t>(from));
  return in;
}

std::vector<std::uint8_t> reachable_from(const Graph& graph,
                                         std::span<const std::uint32_t> entries) {
  std::vector<std::uint8_t> reached(graph.size(), 0);
  std::vector<std::uint32_t> stack;
  const auto visit = [&](std::uint32_t node) {
    if (reached[node]) return;
    reached[node] = 1;
    stack.push_back(node);
  };
  for (const std::uint32_t entry : entries) visit(entry);
  while (!stack.empty()) {
    const std::uint32_t node = stack.back();
    stack.pop_back();
    for (const std::uint32_t to : graph.links(node)) visit(to);
  }
  return reached;
}

void describe_graph(const Graph& graph, std::span<const std::uint32_t> entries, BuildStats& stats) {
  const auto reached = reachable_from(graph, entries);
  const auto n = static_cast<double>(graph.size());
  stats.degree_mean = static_cast<double>(graph.link_count()) / n;
  stats.degree_max = static_cast<std::int64_t>(graph.max_degree());
  stats.reachable_frac =
      static_cast<double>(std::accumulate(reached.begin(), reached.end(), 0LL)) / n;
}

}  // namespace ra::index
