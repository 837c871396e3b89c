// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench_app {

// Records of kind `quality` as a table that fits a terminal; `format` is md, csv or none.
void print_quality_table(const std::vector<Json>& records, const std::string& format);

}  // namespace ra::bench_app
