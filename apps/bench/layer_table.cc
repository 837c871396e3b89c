// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/layer_table.h"

#include <fmt/format.h>

#include <cstdio>

#include "apps/bench/mode_label.h"
#include "lib/bench/table.h"

namespace ra::bench_app {
namespace {

std::string fixed(const Json& v, int digits) {
  return v.is_null() ? "-" : fmt::format("{:.{}f}", v.get<double>(), digits);
}

}  // namespace

Json layers_json(const model::Config& config, const std::vector<model::StepTimes>& layers,
                 double steps) {
  Json out = Json::array();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const model::StepTimes& t = layers[i];
    const model::AttendStats& a = t.attend;
    const auto mean = [&](auto sum) { return static_cast<double>(sum) / steps; };
    const auto indexed = static_cast<double>(a.indexed_keys);
    out.push_back({{"layer", i},
                   {"window", config.window(static_cast<int>(i))},
                   {"attend_ms", mean(t.attend_ms)},
                   {"search_ms", mean(a.search_ms)},
                   {"gather_ms", mean(a.gather_ms)},
                   {"static_ms", mean(a.static_ms)},
                   {"merge_ms", mean(a.merge_ms)},
                   {"search_busy_ms", mean(a.search_busy_ms)},
                   {"static_busy_ms", mean(a.static_busy_ms)},
                   {"overlap_ms", mean(a.overlap_ms)},
                   {"search_wait_ms", mean(a.search_wait_ms)},
                   {"static_wait_ms", mean(a.static_wait_ms)},
                   {"qkv_ms", mean(t.qkv_ms)},
                   {"proj_ms", mean(t.proj_ms)},
                   {"ffn_ms", mean(t.ffn_ms)},
                   {"scanned_frac",
                    indexed > 0 ? Json(static_cast<double>(a.distances) / indexed) : Json(nullptr)},
                   {"work_distances", mean(a.distances)},
                   {"work_bytes", mean(a.bytes)}});
  }
  return out;
}

void print_layer_table(const std::vector<Json>& records, const std::string& format) {
  if (format != "md") return;
  bench::Table table({"context", "<mode", "layer", "attention ms", "retrieval", "static set",
                      "both", "static waits", "retrieval waits", "scanned %"});
  for (const Json& r : records) {
    if (!r.contains("layers")) continue;
    for (const Json& l : r["layers"]) {
      const Json& scanned = l["scanned_frac"];
      table.add({r["config"]["context"].dump(), mode_label(records, r), l["layer"].dump(),
                 fixed(l["attend_ms"], 3),
                 fixed(l["search_ms"].get<double>() + l["gather_ms"].get<double>(), 3),
                 fixed(l["static_ms"], 3), fixed(l["overlap_ms"], 3), fixed(l["static_wait_ms"], 3),
                 fixed(l["search_wait_ms"], 3),
                 scanned.is_null() ? "-" : fixed(100 * scanned.get<double>(), 2)});
    }
  }
  if (table.empty()) return;
  fmt::print(
      "\n{}\nms of a step (mean); retrieval and static set: shares of the wall time; both: under "
      "way at the same time; waits: from the end of one source to that of the other\n",
      table.render(format));
}

}  // namespace ra::bench_app
