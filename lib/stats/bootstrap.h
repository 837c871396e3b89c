// SPDX-License-Identifier: Apache-2.0
// Percentile bootstrap confidence intervals (Efron, 1979), seeded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

namespace ra::stats {

struct BootstrapOptions {
  int resamples = 2000;
  double confidence = 0.95;
  std::uint64_t seed = 1;
};

// Interval of statistic(values): each resample draws values.size() of them with replacement. The
// result depends on the seed only, not on the thread count. Requires a non-empty set.
std::pair<double, double> bootstrap_ci(
    std::span<const double> values, const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options = {});

// The same for a series whose neighbours depend on each other, such as the losses of a text's
// tokens: a resample is made of runs of `block` values in a row that begin anywhere (moving blocks;
// Kuensch, 1989), the last one cut. Requires 1 <= block <= values.size().
std::pair<double, double> block_bootstrap_ci(
    std::span<const double> values, std::size_t block,
    const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options = {});

// bootstrap_ci of the mean.
std::pair<double, double> bootstrap_mean_ci(std::span<const double> values,
                                            const BootstrapOptions& options = {});

}  // namespace ra::stats
