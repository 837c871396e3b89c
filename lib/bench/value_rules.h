// SPDX-License-Identifier: Apache-2.0
// The deterministic numbers of a record that are judged, and what change of each is tolerated.
#pragma once

#include <string_view>

namespace ra::bench {

struct ValueRule {
  std::string_view prefix;
  bool larger_is_better;
  double relative, absolute;  // tolerated change: relative * |base| + absolute
};

// Null for a number that is not judged.
const ValueRule* value_rule(std::string_view metric);

}  // namespace ra::bench
