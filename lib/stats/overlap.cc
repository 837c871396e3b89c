// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/overlap.h"

#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/stats/attention_mass.h"
#include "lib/stats/quantiles.h"
#include "lib/stats/recall.h"

namespace ra::stats {
namespace {

using Ids = std::span<const std::uint32_t>;

// Both ascending.
std::size_t common(Ids a, Ids b) {
  std::size_t n = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) ++n;
    const bool next = a[i] <= b[j];
    j += b[j] <= a[i];
    i += next;
  }
  return n;
}

double share(Ids own, Ids other) {
  return static_cast<double>(common(own, other)) / static_cast<double>(own.size());
}

}  // namespace

TopSets::TopSets(const ExactReference& exact) : k_(exact.k), ids_(exact.ids) {
  RA_CHECK(k_ > 0);
  for (std::size_t i = 0; i < queries(); ++i) {
    const auto row = std::span(ids_).subspan(i * k_, k_);
    std::sort(row.begin(), row.end());
  }
}

double overlap(const TopSets& own, const TopSets& other) {
  RA_CHECK(own.queries() == other.queries() && own.k() == other.k());
  std::vector<double> shares(own.queries());
  for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = share(own.of(i), other.of(i));
  return mean(shares);
}

double distinct_keys(std::span<const TopSets* const> heads) {
  std::vector<double> counts(heads.front()->queries());
  std::vector<std::uint32_t> all;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    all.clear();
    for (const TopSets* head : heads) {
      const Ids ids = head->of(i);
      all.insert(all.end(), ids.begin(), ids.end());
    }
    std::sort(all.begin(), all.end());
    counts[i] = static_cast<double>(std::unique(all.begin(), all.end()) - all.begin());
  }
  return mean(counts);
}

Reuse reuse(const HeadData& head, const ExactReference& exact, const TopSets& own,
            const TopSets& other, std::size_t lag) {
  const std::size_t m = head.queries.rows;
  RA_CHECK(lag < m && own.queries() == m && other.queries() == m && other.k() == own.k());
  std::vector<double> shares(m - lag), ratios(m - lag), masses(m - lag);
  parallel_for(m - lag, [&](std::size_t i, int) {
    const std::size_t query = i + lag;
    const Ids ids = other.of(i);
    std::vector<float> scores;
    for (const std::uint32_t id : ids)
      scores.push_back(exact_dot(head.queries.row(query), head.keys.row(id), head.keys.cols));
    const AttentionLoss loss = attention_loss(head, exact, query, ids, scores);
    shares[i] = share(own.of(query), ids);
    ratios[i] = loss.mass_ratio;
    masses[i] = loss.mass_all;
  });
  return {.overlap = mean(shares), .mass_ratio = mean(ratios), .mass_all = mean(masses)};
}

}  // namespace ra::stats
