// SPDX-License-Identifier: Apache-2.0
// Records of heads, by the rows of a table that they make.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "lib/core/json.h"

namespace ra::recall {

// (layer, query set, head; -1: all heads of the layer together) -> records, in their order. They
// must outlive it.
using HeadRows = std::map<std::tuple<int, std::string, int>, std::vector<const Json*>>;
HeadRows head_rows(const std::vector<Json>& records, bool per_head);

}  // namespace ra::recall
