// SPDX-License-Identifier: Apache-2.0
// A comparison for people (what changed, by how much, how sure), for a pull request, for machines.
#pragma once

#include <string>
#include <string_view>

#include "lib/bench/compare.h"

namespace ra::bench {

// md: a sentence, then a table, the rows that need attention first; in a pull request as it is.
// csv: the table alone. json: one object with everything. none: nothing.
// Deterministic numbers within their tolerance are counted, not listed, unless `all`; json has all.
std::string render(const CompareReport& report, std::string_view format, bool all);

}  // namespace ra::bench
