// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/signed_rank.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace ra::stats {
namespace {

constexpr std::size_t kMostExact = 200;

// Twice the rank of each of the ascending magnitudes, so that mean ranks of ties are whole.
std::vector<std::size_t> doubled_ranks(const std::vector<double>& magnitudes) {
  std::vector<std::size_t> ranks(magnitudes.size());
  for (std::size_t i = 0; i < ranks.size();) {
    std::size_t end = i + 1;
    while (end < ranks.size() && magnitudes[end] == magnitudes[i]) ++end;
    for (std::size_t j = i; j < end; ++j) ranks[j] = i + 1 + end;  // 2 * mean of i + 1 .. end
    i = end;
  }
  return ranks;
}

// Share of the sign choices whose ranks above sum to at least `sum`.
double exact_p(const std::vector<std::size_t>& ranks, std::size_t sum) {
  std::size_t total = 0;
  for (const std::size_t r : ranks) total += r;
  std::vector<double> chance(total + 1);  // of each sum, over the ranks seen so far
  chance[0] = 1;
  std::size_t reached = 0;
  for (const std::size_t r : ranks) {
    reached += r;
    for (std::size_t s = reached + 1; s-- > 0;)
      chance[s] = (chance[s] + (s >= r ? chance[s - r] : 0.0)) / 2;
  }
  double p = 0;
  for (std::size_t s = total + 1; s-- > sum;) p += chance[s];
  return std::min(p, 1.0);
}

double normal_p(const std::vector<std::size_t>& ranks, std::size_t sum) {
  double mean = 0, variance = 0;
  for (const std::size_t r : ranks) {
    const double rank = static_cast<double>(r) / 2;
    mean += rank / 2;
    variance += rank * rank / 4;
  }
  const double z = (static_cast<double>(sum) / 2 - mean - 0.5) / std::sqrt(variance);
  return std::erfc(z / std::sqrt(2.0)) / 2;
}

}  // namespace

double signed_rank_p_above(std::span<const double> differences, double shift) {
  std::vector<double> centred;
  for (const double d : differences)
    if (d != shift) centred.push_back(d - shift);
  if (centred.empty()) return 1;
  std::sort(centred.begin(), centred.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  std::vector<double> magnitudes;
  for (const double d : centred) magnitudes.push_back(std::abs(d));
  const std::vector<std::size_t> ranks = doubled_ranks(magnitudes);
  std::size_t above = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i)
    if (centred[i] > 0) above += ranks[i];
  return ranks.size() <= kMostExact ? exact_p(ranks, above) : normal_p(ranks, above);
}

}  // namespace ra::stats
