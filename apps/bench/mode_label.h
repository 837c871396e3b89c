// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/core/json.h"

namespace ra::bench_app {

// What a table calls the mode of a record: its index goes along where others of the records have
// the same mode with another one.
std::string mode_label(const std::vector<Json>& records, const Json& record);

}  // namespace ra::bench_app
