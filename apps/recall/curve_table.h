// SPDX-License-Identifier: Apache-2.0
// The human table of ra-recall curve.
#pragma once

#include <string>
#include <vector>

#include "apps/recall/options.h"
#include "lib/core/json.h"

namespace ra::recall {

// A row per index, effort and query set with means over the heads; with -v a row per head follows.
std::string curve_table(const std::vector<Json>& records, const Options& o);

}  // namespace ra::recall
