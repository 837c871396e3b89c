// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/divergence.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

namespace ra::stats {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  return top + std::log(sum);
}

}  // namespace

double kl_divergence(std::span<const float> p, std::span<const float> q) {
  RA_CHECK(p.size() == q.size() && !p.empty());
  const double zp = log_sum_exp(p), zq = log_sum_exp(q);
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double lp = p[i] - zp;
    sum += std::exp(lp) * (lp - (q[i] - zq));
  }
  return std::max(0.0, sum);
}

}  // namespace ra::stats
