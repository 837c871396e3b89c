// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/mode_label.h"

#include <algorithm>

namespace ra::bench_app {

std::string mode_label(const std::vector<Json>& records, const Json& record) {
  const Json& c = record["config"];
  const auto mode = c["mode"].get<std::string>();
  const bool several = std::any_of(records.begin(), records.end(), [&](const Json& other) {
    return other["config"]["mode"] == c["mode"] && other["config"]["index"] != c["index"];
  });
  return several ? mode + " " + c["index"].get<std::string>() : mode;
}

}  // namespace ra::bench_app
