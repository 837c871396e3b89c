// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/curve_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/recall/indexing.h"
#include "lib/bench/table.h"

namespace ra::recall {
namespace {

// Records that share a row, in the order of first appearance.
using Rows = std::vector<std::pair<std::string, std::vector<const Json*>>>;

Rows grouped(const std::vector<Json>& records, bool by_head) {
  Rows rows;
  for (const Json& r : records) {
    if (r["kind"] != "recall") continue;
    const Json& c = r["config"];
    std::string key = c["index"].get<std::string>() + "\n" + c["search"].get<std::string>() + "\n" +
                      c["query_set"].get<std::string>();
    if (by_head) key += c["layer"].dump() + "/" + c["kv_head"].dump() + "/" + c["head"].dump();
    auto at =
        std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.first == key; });
    if (at == rows.end()) at = rows.insert(rows.end(), {key, {}});
    at->second.push_back(&r);
  }
  // One index's points together, then the query sets, efforts as swept.
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    const Json &x = (*a.second.front())["config"], &y = (*b.second.front())["config"];
    return x["query_set"].template get<std::string>() > y["query_set"].template get<std::string>();
  });
  return rows;
}

std::string mean(const std::vector<const Json*>& records, const char* metric, double factor,
                 int decimals) {
  double sum = 0;
  for (const Json* r : records) {
    const Json& value = (*r)["metrics"][metric];
    if (value.is_null()) return "-";
    sum += value.get<double>();
  }
  return fmt::format("{:.{}f}", factor * sum / static_cast<double>(records.size()), decimals);
}

std::string number(const Json& value) { return value.is_null() ? "-" : value.dump(); }

std::string render(const Rows& rows, bool by_head, const std::string& format) {
  std::vector<std::string> headers{"<index", "<search", "<queries"};
  if (by_head) headers.insert(headers.end(), {"layer", "head"});
  for (const char* h : {"recall", "p5", "scan %", "mass", "\u00b5s"}) headers.emplace_back(h);
  bench::Table t(headers);
  ShortNames names(format);
  for (const auto& [key, records] : rows) {
    const Json& c = (*records.front())["config"];
    std::vector<std::string> row{names.of(c["index"]), c["search"], c["query_set"]};
    if (by_head) {
      row.push_back(number(c["layer"]));
      row.push_back(number(c["head"]));
    }
    row.push_back(mean(records, "recall_id", 1, 4));
    row.push_back(mean(records, "recall_id_p05", 1, 3));
    row.push_back(mean(records, "scanned_frac", 100, 2));
    row.push_back(mean(records, "mass_k_frac", 1, 4));
    row.push_back(mean(records, "query_us", 1, 1));
    t.add(std::move(row));
  }
  return t.render(format) + names.legend();
}

}  // namespace

std::string curve_table(const std::vector<Json>& records, const Options& o) {
  if (o.format == "none") return "";
  const bool by_head = o.common.verbose > 0;
  if (o.format == "csv") return render(grouped(records, by_head), by_head, "csv");
  std::string out =
      build_table(records, o.format) + "\n" + render(grouped(records, false), false, o.format);
  if (by_head) out += "\n" + render(grouped(records, true), true, o.format);
  return out;
}

}  // namespace ra::recall
