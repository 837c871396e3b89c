// SPDX-License-Identifier: Apache-2.0
// How concentrated attention is, and whether the important keys stay the same (arXiv 2409.10516,
// figure 2).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "lib/stats/exact_attention.h"

namespace ra::stats {

constexpr std::array<double, 4> kMassTargets{0.50, 0.90, 0.95, 0.99};

// Each inner vector has one entry per query. recovery and k_for are softmax mass over K alone;
// sink, window and entropy over S and K, so sink + window + share of K = 1.
struct Sparsity {
  std::vector<std::vector<double>> recovery_dynamic;  // [ks]: mass of the query's own top k
  std::vector<std::vector<double>> recovery_static;   // [ks]: of the first query's top k
  std::array<std::vector<double>, 4> k_for;           // fewest keys of K that hold kMassTargets
  std::vector<double> sink, window;  // mass of rows [0, n_sink) of S, and of the others
  std::vector<double> entropy;       // nats
};

// `ks` in any order, each in [1, n]. n_sink rows of head.static_keys are the sink; values are not
// used.
Sparsity sparsity(const HeadData& head, std::size_t n_sink, const std::vector<std::size_t>& ks);

}  // namespace ra::stats
