// SPDX-License-Identifier: Apache-2.0
// The one place that names the JSON library. ordered_json keeps the order of fields in records.
#pragma once

#include <nlohmann/json.hpp>

namespace ra {
using Json = nlohmann::ordered_json;
}
