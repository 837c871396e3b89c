// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/sparsity.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "lib/core/error.h"
#include "lib/stats/recall.h"

namespace ra::stats {
namespace {

// Attention of one query over S: logits are few, so plain loops.
struct StaticPart {
  SoftmaxScale scale;
  double sink = 0, weighted_logit = 0;  // sums of exp(logit - max): of the sink; times the logit
};

StaticPart attend_static(const HeadData& head, std::size_t query, std::size_t n_sink) {
  const std::size_t visible = head.visible.empty() ? 0 : head.visible[query];
  std::vector<double> scores(visible);
  for (std::size_t j = 0; j < visible; ++j) {
    const float *q = head.queries.row(query), *k = head.static_keys.row(j);
    for (std::size_t c = 0; c < head.static_keys.cols; ++c)
      scores[j] += static_cast<double>(q[c]) * static_cast<double>(k[c]);
  }
  const std::vector<double> raw = scores;
  StaticPart part{.scale = to_weights(scores, head.scale)};
  for (std::size_t j = 0; j < visible; ++j) {
    if (j < n_sink) part.sink += scores[j];
    part.weighted_logit += scores[j] * head.scale * raw[j];
  }
  return part;
}

// Fewest weights, largest first, that reach each target; `weights` descending with sum `total`.
void count_for_targets(std::span<const double> weights, double total, std::size_t query,
                       Sparsity& out) {
  double sum = 0;
  std::size_t n = 0;
  for (std::size_t t = 0; t < kMassTargets.size(); ++t) {
    // Rounding of the running sum must not ask for one key more than exact arithmetic.
    const double target = kMassTargets[t] * total * (1 - 1e-12);
    while (n < weights.size() && sum < target) sum += weights[n++];
    out.k_for[t][query] = static_cast<double>(n);
  }
}

}  // namespace

Sparsity sparsity(const HeadData& head, std::size_t n_sink, const std::vector<std::size_t>& ks) {
  const std::size_t m = head.queries.rows, n = head.keys.rows;
  RA_CHECK(m > 0 && !ks.empty());
  const std::size_t k_max = *std::max_element(ks.begin(), ks.end());
  RA_CHECK(k_max <= n && *std::min_element(ks.begin(), ks.end()) >= 1);

  std::vector<std::uint32_t> first_ids(k_max);
  std::vector<float> first_scores(k_max);
  for_each_score_block(
      head.queries.row_range(0, 1), head.keys, [&](std::size_t, MatView<double> s) {
        exact_top_k({s.row(0), n}, k_max, n, first_ids.data(), first_scores.data());
      });

  Sparsity out;
  out.recovery_dynamic.assign(ks.size(), std::vector<double>(m));
  out.recovery_static.assign(ks.size(), std::vector<double>(m));
  for (auto& counts : out.k_for) counts.resize(m);
  for (auto* v : {&out.sink, &out.window, &out.entropy}) v->resize(m);
  for_each_score_block(head.queries, head.keys, [&](std::size_t first, MatView<double> block) {
    for (std::size_t i = 0; i < block.rows; ++i) {
      const std::size_t query = first + i;
      const std::span<double> w(block.row(i), n);
      std::vector<double> sorted(w.begin(), w.end());
      const SoftmaxScale of_keys = to_weights(w, head.scale);
      double weighted_logit = 0;  // before sorting drops the pairing
      for (std::size_t j = 0; j < n; ++j) weighted_logit += w[j] * head.scale * sorted[j];

      std::vector<double> fixed(k_max + 1);  // running mass of the first query's set
      for (std::size_t j = 0; j < k_max; ++j) fixed[j + 1] = fixed[j] + w[first_ids[j]];
      sorted.assign(w.begin(), w.end());
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      std::vector<double> own(k_max + 1);
      for (std::size_t j = 0; j < k_max; ++j) own[j + 1] = own[j] + sorted[j];
      for (std::size_t t = 0; t < ks.size(); ++t) {
        out.recovery_dynamic[t][query] = own[ks[t]] / of_keys.sum;
        out.recovery_static[t][query] = fixed[ks[t]] / of_keys.sum;
      }
      count_for_targets(sorted, of_keys.sum, query, out);

      const StaticPart near = attend_static(head, query, n_sink);
      const double max = std::max(of_keys.max, near.scale.max);
      const double a = std::exp(of_keys.max - max), b = std::exp(near.scale.max - max);
      const double total = a * of_keys.sum + b * near.scale.sum;
      out.sink[query] = b * near.sink / total;
      out.window[query] = b * (near.scale.sum - near.sink) / total;
      // -sum p ln p = ln Z - sum p logit
      out.entropy[query] =
          max + std::log(total) - (a * weighted_logit + b * near.weighted_logit) / total;
    }
  });
  return out;
}

}  // namespace ra::stats
