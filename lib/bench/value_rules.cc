// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/value_rules.h"

namespace ra::bench {
namespace {

// The first row whose prefix fits.
constexpr ValueRule kRules[] = {
    {"work_allocs", false, 0.02, 2},
    {"work_", false, 0, 1e-9},
    {"recall_", true, 0, 1e-3},
    {"mass_", true, 0, 1e-3},
    {"robust_", true, 0, 5e-3},
    {"scanned_frac", false, 1e-3, 0},
    {"output_rel_l2", false, 1e-2, 1e-6},
    {"output_cosine", true, 0, 1e-4},
    {"kld_", false, 5e-2, 1e-7},
    {"same_top1_frac", true, 0, 1e-9},
    {"nll", false, 0, 1e-3},
    {"needle_", true, 0, 1e-9},
    {"index_bytes", false, 1e-3, 0},
    {"reachable_frac", true, 0, 1e-3},
    {"recovery_", true, 0, 1e-3},
};

}  // namespace

const ValueRule* value_rule(std::string_view metric) {
  for (const ValueRule& r : kRules)
    if (metric.starts_with(r.prefix)) return &r;
  return nullptr;
}

}  // namespace ra::bench
