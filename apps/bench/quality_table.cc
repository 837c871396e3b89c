// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/quality_table.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/bench/mode_label.h"
#include "lib/bench/table.h"

namespace ra::bench_app {
namespace {

// "-" where nothing was measured.
std::string fixed(const Json& v, int digits, double factor = 1) {
  return v.is_null() ? "-" : fmt::format("{:.{}f}", factor * v.get<double>(), digits);
}

std::string joined(const Json& depths) {
  std::string text;
  for (const Json& depth : depths)
    text += fmt::format("{}{:g}", text.empty() ? "" : "/", depth.get<double>());
  return text;
}

// Values found of those asked for, depth by depth.
std::string found_by_depth(const Json& record) {
  const Json& depths = record["config"]["needle_depths"];
  if (depths.is_null()) return "-";
  std::string text;
  for (const Json& depth : depths) {
    int found = 0, asked = 0;
    for (const Json& question : record["questions"])
      for (const Json& value : question["values"]) {
        if (value["depth"] != depth) continue;
        ++asked;
        found += value["found"].get<bool>() ? 1 : 0;
      }
    text += asked == 0 ? " -" : fmt::format(" {}/{}", found, asked);
  }
  return text.substr(1);
}

}  // namespace

void print_quality_table(const std::vector<Json>& records, const std::string& format) {
  if (format == "none" || records.empty()) return;
  const Json& config = records.front()["config"];
  bench::Table table({"context", "<mode", "NLL", "delta", "KL", "top-1 %", "found by depth",
                      "ms/token", "scanned %"});
  for (const Json& r : records) {
    if (r["status"] != "ok") continue;
    const Json& m = r["metrics"];
    table.add({r["config"]["context"].dump(), mode_label(records, r), fixed(m["nll"], 4),
               fixed(m["nll_delta"], 4),
               m["kld_mean"].is_null() ? "-" : fmt::format("{:.2g}", m["kld_mean"].get<double>()),
               fixed(m["same_top1_frac"], 1, 100), found_by_depth(r), fixed(m["decode_ms"], 2),
               fixed(m["scanned_frac"], 2, 100)});
  }
  fmt::print("{}\n{} tokens scored, in nats; delta, KL and top-1 against full attention",
             table.render(format), config["n_scored"].dump());
  if (!config["needle_depths"].is_null())
    fmt::print("; found: values of those hidden at depth {}", joined(config["needle_depths"]));
  fmt::print("\n");
}

}  // namespace ra::bench_app
