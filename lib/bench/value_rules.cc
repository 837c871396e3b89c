// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/value_rules.h"

#include <cmath>

namespace ra::bench {
namespace {

using enum Better;
// The first row whose prefix fits.
constexpr ValueRule kRules[] = {
    {"hash_", kEqual, 0, 0},
    {"work_allocs", kSmaller, 0.02, 2},
    {"work_", kSmaller, 0, 1e-9},
    {"recall_", kLarger, 0, 1e-3},
    {"mass_", kLarger, 0, 1e-3},
    {"robust_", kLarger, 0, 5e-3},
    {"scanned_frac", kSmaller, 1e-3, 0},
    {"output_rel_l2", kSmaller, 1e-2, 1e-6},
    {"output_cosine", kLarger, 0, 1e-4},
    {"kld_", kSmaller, 5e-2, 1e-7},
    {"same_top1_frac", kLarger, 0, 1e-9},
    {"nll", kSmaller, 0, 1e-3},
    {"needle_", kLarger, 0, 1e-9},
    {"index_bytes", kSmaller, 1e-3, 0},
    {"reachable_frac", kLarger, 0, 1e-3},
    {"recovery_", kLarger, 0, 1e-3},
};

}  // namespace

const ValueRule* value_rule(std::string_view metric) {
  for (const ValueRule& r : kRules)
    if (metric.starts_with(r.prefix)) return &r;
  return nullptr;
}

double worse_by(const ValueRule& rule, double base, double fresh) {
  const double worse = rule.better == kEqual    ? std::abs(fresh - base)
                       : rule.better == kLarger ? base - fresh
                                                : fresh - base;
  const double tolerated = rule.relative * std::abs(base) + rule.absolute;
  return worse > tolerated ? worse - tolerated : worse < -tolerated ? worse + tolerated : 0;
}

}  // namespace ra::bench
