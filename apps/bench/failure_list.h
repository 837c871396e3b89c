// SPDX-License-Identifier: Apache-2.0
// Below the table of a run: where a mode fails beside full attention, in words.
#pragma once

#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench_app {

// Nothing where nothing failed, or if `format` is not md.
void print_failure_signs(const std::vector<Json>& records, const std::string& format);

}  // namespace ra::bench_app
