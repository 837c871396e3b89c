// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/bootstrap.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/parallel.h"
#include "lib/core/rng.h"
#include "lib/stats/quantiles.h"

namespace ra::stats {

std::pair<double, double> block_bootstrap_ci(
    std::span<const double> values, std::size_t block,
    const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options) {
  RA_CHECK(block >= 1 && block <= values.size() && options.resamples > 0);
  RA_CHECK(options.confidence > 0 && options.confidence < 1);
  std::vector<double> estimates(static_cast<std::size_t>(options.resamples));
  parallel_for(estimates.size(), [&](std::size_t r, int) {
    Rng rng(options.seed, 0xb007, r);
    std::vector<double> sample(values.size());
    for (std::size_t i = 0; i < sample.size(); i += block) {
      const std::size_t begin = rng.below(values.size() - block + 1);
      std::copy_n(&values[begin], std::min(block, sample.size() - i), &sample[i]);
    }
    estimates[r] = statistic(sample);
  });
  std::sort(estimates.begin(), estimates.end());
  const double tail = (1 - options.confidence) / 2;
  return {quantile_sorted(estimates, tail), quantile_sorted(estimates, 1 - tail)};
}

std::pair<double, double> bootstrap_ci(
    std::span<const double> values, const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options) {
  return block_bootstrap_ci(values, 1, statistic, options);
}

std::pair<double, double> bootstrap_mean_ci(std::span<const double> values,
                                            const BootstrapOptions& options) {
  return bootstrap_ci(
      values, [](std::span<const double> v) { return mean(v); }, options);
}

}  // namespace ra::stats
