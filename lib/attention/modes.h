// SPDX-License-Identifier: Apache-2.0
// The decode modes users choose between: one row each.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lib/index/registry.h"

namespace ra::attention {

struct Mode {
  std::string_view name;
  std::string_view index;  // default index spec; "" = none. Baselines get the fair choice.
  bool dense = false;      // exact attention over all keys, no static set
  bool any_index = false;  // --index may replace the default by an index of any type
  bool tail = false;       // estimates what the keys that are not retrieved come to
  bool whole = false;      // attends to every key that the search scores: its effort is the k
  std::string_view help;
};

std::span<const Mode> modes();
// Throws Error{kUsage} with the known names.
const Mode& find_mode(std::string_view name);

}  // namespace ra::attention
