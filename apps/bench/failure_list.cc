// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/failure_list.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/bench/mode_label.h"
#include "lib/bench/failure_signs.h"

namespace ra::bench_app {

void print_failure_signs(const std::vector<Json>& records, const std::string& format) {
  if (format != "md") return;
  const auto signs = bench::failure_signs(records);
  if (signs.empty()) return;
  fmt::print("\nsigns of failure:\n");
  for (const bench::FailureSign& sign : signs) {
    const Json& r = records[sign.record];
    fmt::print("- {} at {}: {}\n", mode_label(records, r), r["config"]["context"].dump(),
               sign.words);
  }
}

}  // namespace ra::bench_app
