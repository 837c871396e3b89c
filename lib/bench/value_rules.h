// SPDX-License-Identifier: Apache-2.0
// The deterministic numbers of a record that are judged, and what change of each is tolerated.
#pragma once

#include <string_view>

namespace ra::bench {

enum class Better { kSmaller, kLarger, kEqual };  // kEqual: a hash, any change is one for the worse

struct ValueRule {
  std::string_view prefix;
  Better better;
  double relative, absolute;  // tolerated change: relative * |base| + absolute
};

// Null for a number that is not judged.
const ValueRule* value_rule(std::string_view metric);

// How much worse `fresh` is than `base` beyond what the rule tolerates: above 0 worse, below 0
// better, 0 within it.
double worse_by(const ValueRule& rule, double base, double fresh);

}  // namespace ra::bench
