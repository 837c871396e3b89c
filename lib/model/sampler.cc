// SPDX-License-Identifier: Apache-2.0
#include "lib/model/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "lib/core/error.h"
#include "lib/core/rng.h"

namespace ra::model {
namespace {

// Position of the highest logit, the first among equals.
std::size_t checked_argmax(std::span<const float> logits) {
  std::size_t best = 0;
  float high = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<float>::infinity())
      fail_bad_data({.what = "bad logits",
                     .where = fmt::format("token {}", i),
                     .why = fmt::format("logit is {}", logits[i]),
                     .hint = "broken weights?"});
    if (logits[i] > high) {
      high = logits[i];
      best = i;
    }
  }
  if (!std::isfinite(high))
    fail_bad_data({.what = "bad logits", .why = "no logit is finite", .hint = "broken weights?"});
  return best;
}

}  // namespace

std::int32_t sample(std::span<const float> logits, const SamplerOptions& options,
                    std::uint64_t step) {
  RA_CHECK(std::isfinite(options.temperature) && options.temperature >= 0);
  const std::size_t best = checked_argmax(logits);
  if (options.temperature == 0) return static_cast<std::int32_t>(best);

  const auto weight = [&](float logit) {
    return std::exp((static_cast<double>(logit) - static_cast<double>(logits[best])) /
                    options.temperature);
  };
  double sum = 0;
  for (const float logit : logits) sum += weight(logit);
  double left = Rng(options.seed, step).uniform() * sum;
  std::size_t last = best;  // where rounding leaves a rest: the last token that can be drawn
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double w = weight(logits[i]);
    if (w == 0) continue;
    if (left < w) return static_cast<std::int32_t>(i);
    left -= w;
    last = i;
  }
  return static_cast<std::int32_t>(last);
}

double nll(std::span<const float> logits, std::int32_t id) {
  RA_CHECK(id >= 0 && static_cast<std::size_t>(id) < logits.size());
  const auto high = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - high);
  return std::log(sum) + high - static_cast<double>(logits[static_cast<std::size_t>(id)]);
}

}  // namespace ra::model
