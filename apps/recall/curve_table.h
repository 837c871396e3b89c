// SPDX-License-Identifier: Apache-2.0
// The human tables of ra-recall curve.
#pragma once

#include <string>
#include <vector>

#include "apps/recall/options.h"
#include "lib/core/json.h"

namespace ra::recall {

// What the indexes cost to build, then for each set of test queries a row per index and effort over
// all heads: means, the 5th percentile over heads and the worst of them. A point is left out (but
// counted) if another is no worse in recall, keys scanned and time, and better in one; --raw keeps
// it. With -v a row per head follows. CSV has one table of points, with full names.
std::string curve_table(const std::vector<Json>& records, const Options& o);

}  // namespace ra::recall
