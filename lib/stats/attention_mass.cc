// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/attention_mass.h"

#include <cmath>
#include <limits>

#include "lib/core/error.h"

namespace ra::stats {
namespace {

double mass_of(std::span<const float> scores, double scale, double lse) {
  double sum = 0;
  for (const float s : scores) sum += std::exp(scale * static_cast<double>(s) - lse);
  return sum;
}

// Attention over S and the returned keys, both weighed relative to `lse` (of S and K): the common
// factor cancels in the quotient.
std::vector<double> attended(const HeadData& head, const ExactReference& exact, std::size_t query,
                             std::span<const std::uint32_t> returned, std::span<const float> scores,
                             double lse) {
  const std::size_t dv = head.values.cols;
  std::vector<double> out(dv);
  double sum = std::exp(exact.lse_static[query] - lse);  // 0 if S is empty
  for (std::size_t j = 0; j < dv; ++j)
    out[j] = sum * static_cast<double>(exact.static_output.row(query)[j]);
  for (std::size_t i = 0; i < returned.size(); ++i) {
    const double w = std::exp(head.scale * static_cast<double>(scores[i]) - lse);
    const float* v = head.values.row(returned[i]);
    for (std::size_t j = 0; j < dv; ++j) out[j] += w * static_cast<double>(v[j]);
    sum += w;
  }
  for (double& o : out) o /= sum;  // NaN if nothing is attended to
  return out;
}

}  // namespace

AttentionLoss attention_loss(const HeadData& head, const ExactReference& exact, std::size_t query,
                             std::span<const std::uint32_t> returned,
                             std::span<const float> scores) {
  RA_CHECK(returned.size() == scores.size());
  for (const std::uint32_t id : returned) RA_CHECK(id < head.keys.rows);
  const double lse_k = exact.lse_keys[query], lse_s = exact.lse_static[query];
  const double top = std::max(lse_k, lse_s);
  const double lse = top + std::log(std::exp(lse_k - top) + std::exp(lse_s - top));
  AttentionLoss loss;
  loss.mass_k = mass_of(scores, head.scale, lse_k);
  loss.mass_all = loss.mass_k * std::exp(lse_k - lse) + std::exp(lse_s - lse);
  loss.mass_ratio = loss.mass_k / mass_of(exact.top_scores(query), head.scale, lse_k);
  loss.output_rel_l2 = loss.output_cosine = std::numeric_limits<double>::quiet_NaN();
  if (exact.output.rows() == 0) return loss;
  const std::vector<double> approximate = attended(head, exact, query, returned, scores, lse);
  double error = 0, full2 = 0, approximate2 = 0, product = 0;
  for (std::size_t j = 0; j < approximate.size(); ++j) {
    const double a = approximate[j], o = static_cast<double>(exact.output.row(query)[j]);
    error += (a - o) * (a - o);
    full2 += o * o;
    approximate2 += a * a;
    product += a * o;
  }
  loss.output_rel_l2 = std::sqrt(error / full2);
  loss.output_cosine = product / std::sqrt(full2 * approximate2);
  return loss;
}

}  // namespace ra::stats
