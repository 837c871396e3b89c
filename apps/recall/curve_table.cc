// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/curve_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "apps/recall/indexing.h"
#include "lib/bench/table.h"
#include "lib/stats/quantiles.h"

namespace ra::recall {
namespace {

using Records = std::vector<const Json*>;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// NaN if the record has none: null, or of an earlier version.
double metric(const Json& record, const char* name) {
  const Json& metrics = record.at("metrics");
  const auto at = metrics.find(name);
  return at == metrics.end() || at->is_null() ? kNone : at->get<double>();
}

// Of the records that have it.
std::vector<double> values(const Records& records, const char* name) {
  std::vector<double> out;
  for (const Json* r : records)
    if (const double value = metric(*r, name); !std::isnan(value)) out.push_back(value);
  return out;
}

double mean(const Records& records, const char* name) {
  const auto all = values(records, name);
  return all.empty() ? kNone : stats::mean(all);
}

// One index at one effort over the heads of one set of queries.
struct Point {
  std::string index, search, query_set;
  Records heads;
  double recall = 0, scanned = 0, us = 0;
  double build_s = kNone, bytes_per_key = kNone;  // mean over its builds
  bool dominated = false;

  const Json& worst() const {
    return **std::min_element(heads.begin(), heads.end(), [](const Json* a, const Json* b) {
      return metric(*a, "recall_id") < metric(*b, "recall_id");
    });
  }
};

// A point without a time is not beaten in time.
bool beats(const Point& a, const Point& b) {
  if (a.query_set != b.query_set) return false;
  const bool timed = !std::isnan(a.us) && !std::isnan(b.us);
  if (a.recall < b.recall || a.scanned > b.scanned || (timed && a.us > b.us)) return false;
  return a.recall > b.recall || a.scanned < b.scanned || (timed && a.us < b.us);
}

// In the order of first appearance; prompt queries before generated ones before the control.
std::vector<Point> points(const std::vector<Json>& records) {
  std::map<std::string, Records> builds;
  std::vector<Point> out;
  std::map<std::string, std::size_t> row_of;
  for (const Json& r : records) {
    const Json& c = r["config"];
    const std::string index = c["index"];
    if (r["kind"] == "build") builds[index].push_back(&r);
    if (r["kind"] != "recall") continue;
    const std::string search = c["search"], set = c["query_set"];
    const auto [at, is_new] = row_of.emplace(index + "\n" + search + "\n" + set, out.size());
    if (is_new) out.push_back({.index = index, .search = search, .query_set = set, .heads = {}});
    out[at->second].heads.push_back(&r);
  }
  for (Point& p : out) {
    p.recall = mean(p.heads, "recall_id");
    p.scanned = mean(p.heads, "scanned_frac");
    p.us = mean(p.heads, "query_us");
    const Records& built = builds[p.index];
    if (built.empty()) continue;
    p.build_s = mean(built, "build_ms") / 1000;
    p.bytes_per_key = (mean(built, "index_bytes") - mean(built, "key_copy_bytes")) /
                      p.heads.front()->at("config")["n_keys"].get<double>();
  }
  for (Point& p : out)
    p.dominated = std::any_of(out.begin(), out.end(), [&](const Point& q) { return beats(q, p); });
  const auto rank = [](const Point& p) {
    return p.query_set == "decode" ? 1 : p.query_set == "keys" ? 2 : 0;
  };
  std::stable_sort(out.begin(), out.end(),
                   [&](const Point& a, const Point& b) { return rank(a) < rank(b); });
  return out;
}

std::string number(double value, int decimals, double factor = 1) {
  return std::isnan(value) ? "-" : fmt::format("{:.{}f}", factor * value, decimals);
}

std::string place(const Json& config) {
  const auto text = [](const Json& value) { return value.is_null() ? "-" : value.dump(); };
  return text(config["layer"]) + "/" + text(config["head"]);
}

std::string csv(const std::vector<Point>& all, bool raw) {
  bench::Table t({"<index", "<search", "<query_set", "heads", "scanned_frac", "recall_id",
                  "recall_id_p05_heads", "recall_id_worst", "worst_layer/head",
                  "recall_id_p05_queries", "mass_ratio", "output_rel_l2", "exact_output_rel_l2",
                  "query_us", "build_s", "bytes_per_key"});
  for (const Point& p : all) {
    if (p.dominated && !raw) continue;
    const Json& worst = p.worst();
    t.add({p.index, p.search, p.query_set, fmt::format("{}", p.heads.size()), number(p.scanned, 6),
           number(p.recall, 6), number(stats::quantile(values(p.heads, "recall_id"), 0.05), 6),
           number(metric(worst, "recall_id"), 6), place(worst["config"]),
           number(mean(p.heads, "recall_id_p05"), 6), number(mean(p.heads, "mass_ratio"), 6),
           number(mean(p.heads, "output_rel_l2"), 6),
           number(mean(p.heads, "exact_output_rel_l2"), 6), number(p.us, 3), number(p.build_s, 3),
           number(p.bytes_per_key, 1)});
  }
  return t.csv();
}

// The points of one set of queries.
std::string summary(const std::vector<Point>& all, const std::string& query_set, bool raw) {
  bench::Table t({"<index", "<search", "scan %", "recall", "p5", "worst", "mass", "L2", "\u00b5s",
                  "build s", "B/key"});
  ShortNames names("md", 12);
  std::size_t heads = 0, left_out = 0;
  for (const Point& p : all) {
    if (p.query_set != query_set) continue;
    heads = std::max(heads, p.heads.size());
    if (p.dominated && !raw) {
      ++left_out;
      continue;
    }
    const Json& worst = p.worst();
    t.add({names.of(p.index), p.search, number(p.scanned, 2, 100), number(p.recall, 4),
           number(stats::quantile(values(p.heads, "recall_id"), 0.05), 3),
           number(metric(worst, "recall_id"), 3) + " " + place(worst["config"]),
           number(mean(p.heads, "mass_ratio"), 4), number(mean(p.heads, "output_rel_l2"), 4),
           number(p.us, 1), bench::short_number(p.build_s), number(p.bytes_per_key, 0)});
  }
  return fmt::format(
      "{} queries, {} heads. p5: 5th percentile over heads; worst: of a head, layer/head; mass:\n"
      "over that of the exact top k; L2: error of the output; B/key: beside the keys.{}\n\n{}{}",
      query_set, heads,
      left_out == 0 ? "" : fmt::format(" {} dominated points left out.", left_out), t.markdown(),
      names.legend());
}

std::string per_head(const std::vector<Point>& all) {
  bench::Table t({"<index", "<search", "<queries", "layer", "head", "recall", "p5", "least",
                  "scan %", "mass", "\u00b5s"});
  ShortNames names("md", 12);
  for (const Point& p : all)
    for (const Json* r : p.heads) {
      const Json& c = (*r)["config"];
      const auto text = [](const Json& value) { return value.is_null() ? "-" : value.dump(); };
      const auto of = [&](const char* name, int decimals, double factor = 1) {
        return number(metric(*r, name), decimals, factor);
      };
      t.add({names.of(p.index), p.search, p.query_set, text(c["layer"]), text(c["head"]),
             of("recall_id", 4), of("recall_id_p05", 3), of("recall_id_min", 3),
             of("scanned_frac", 2, 100), of("mass_k_frac", 4), of("query_us", 1)});
    }
  return t.markdown() + names.legend();
}

}  // namespace

std::string curve_table(const std::vector<Json>& records, const Options& o) {
  if (o.format == "none" || records.empty()) return "";
  const std::vector<Point> all = points(records);
  if (o.format == "csv") return csv(all, o.raw);
  std::string out = build_table(records, o.format);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i == 0 || all[i].query_set != all[i - 1].query_set)
      out += "\n" + summary(all, all[i].query_set, o.raw);
  if (o.common.verbose > 0) out += "\n" + per_head(all);
  return out;
}

}  // namespace ra::recall
