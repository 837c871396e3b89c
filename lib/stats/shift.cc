// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/shift.h"

#include <algorithm>
#include <numeric>

#include "lib/core/error.h"
#include "lib/core/rng.h"
#include "lib/stats/quantiles.h"

namespace ra::stats {
namespace {

std::vector<double> resample(std::span<const double> values, Rng& rng) {
  std::vector<double> out(values.size());
  for (double& v : out) v = values[rng.below(values.size())];
  return out;
}

Shift summarise_shift(double estimate, std::vector<double> drawn, const ShiftOptions& o) {
  std::sort(drawn.begin(), drawn.end());
  return {.estimate = estimate,
          .low = quantile_sorted(drawn, (1 - o.confidence) / 2),
          .high = quantile_sorted(drawn, (1 + o.confidence) / 2)};
}

}  // namespace

double hodges_lehmann(std::span<const double> d) {
  RA_CHECK(!d.empty());
  std::vector<double> walsh;
  walsh.reserve(d.size() * (d.size() + 1) / 2);
  for (std::size_t i = 0; i < d.size(); ++i)
    for (std::size_t j = i; j < d.size(); ++j) walsh.push_back((d[i] + d[j]) / 2);
  return quantile(std::move(walsh), 0.5);
}

double hodges_lehmann(std::span<const double> a, std::span<const double> b) {
  RA_CHECK(!a.empty() && !b.empty());
  std::vector<double> differences;
  differences.reserve(a.size() * b.size());
  for (const double x : a)
    for (const double y : b) differences.push_back(y - x);
  return quantile(std::move(differences), 0.5);
}

Shift paired_shift(std::span<const double> d, const ShiftOptions& o) {
  std::vector<double> drawn;
  for (int r = 0; r < o.resamples; ++r) {
    Rng rng(o.seed, static_cast<std::uint64_t>(r));
    drawn.push_back(hodges_lehmann(resample(d, rng)));
  }
  return summarise_shift(hodges_lehmann(d), std::move(drawn), o);
}

Shift unpaired_shift(std::span<const double> a, std::span<const double> b, const ShiftOptions& o) {
  std::vector<double> drawn;
  for (int r = 0; r < o.resamples; ++r) {
    Rng rng(o.seed, static_cast<std::uint64_t>(r));
    const std::vector<double> x = resample(a, rng), y = resample(b, rng);
    drawn.push_back(hodges_lehmann(x, y));
  }
  return summarise_shift(hodges_lehmann(a, b), std::move(drawn), o);
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double running = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const double scaled = p[order[rank]] * static_cast<double>(p.size() - rank);
    running = std::max(running, std::min(1.0, scaled));
    adjusted[order[rank]] = running;
  }
  return adjusted;
}

}  // namespace ra::stats
