// SPDX-License-Identifier: Apache-2.0
#include "apps/recall/curve_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/recall/curve_points.h"
#include "apps/recall/indexing.h"
#include "lib/bench/table.h"

namespace ra::recall {
namespace {

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
                  "query_us", "build_s", "bytes_per_key", "seeds", "recall_id_sd",
                  "scanned_frac_sd"});
  for (const Point& p : all) {
    if (p.dominated && !raw) continue;
    const HeadPoint& worst = p.worst();
    const auto of = [&](const char* name) { return number(mean_metric(p.records, name), 6); };
    t.add({p.index, p.search, p.query_set, fmt::format("{}", p.heads.size()), number(p.scanned, 6),
           number(p.recall, 6), number(p.head_quantile(0.05), 6), number(worst.recall, 6),
           place(*worst.config), of("recall_id_p05"), of("mass_ratio"), of("output_rel_l2"),
           of("exact_output_rel_l2"), number(p.us, 3), number(p.build_s, 3),
           number(p.bytes_per_key, 1), fmt::format("{}", p.seeds.size()),
           number(p.spread("recall_id"), 6), number(p.spread("scanned_frac"), 6)});
  }
  return t.csv();
}

// The points of one set of queries.
std::string summary(const std::vector<Point>& all, const std::string& query_set, bool raw) {
  ShortNames names("md", 12);
  std::size_t heads = 0, seeds = 0, left_out = 0;
  Records exact;  // attention over the exact top k: the same for all points
  for (const Point& p : all)
    if (p.query_set == query_set) {
      heads = std::max(heads, p.heads.size());
      seeds = std::max(seeds, p.seeds.size());
      if (p.records.size() > exact.size()) exact = p.records;
    }
  std::vector<std::string> headers{"<index", "<search", "scan %", "recall"};
  if (seeds > 1) headers.emplace_back("\u00b1");
  for (const char* header : {"p5", "worst", "mass", "L2", "\u00b5s", "build s", "B/key"})
    headers.emplace_back(header);
  bench::Table t(headers);
  for (const Point& p : all) {
    if (p.query_set != query_set) continue;
    if (p.dominated && !raw) {
      ++left_out;
      continue;
    }
    const HeadPoint& worst = p.worst();
    std::vector<std::string> row{names.of(p.index), p.search, number(p.scanned, 2, 100),
                                 number(p.recall, 4)};
    if (seeds > 1) row.push_back(number(p.spread("recall_id"), 4));
    for (std::string cell :
         {number(p.head_quantile(0.05), 3), number(worst.recall, 3) + " " + place(*worst.config),
          number(mean_metric(p.records, "mass_ratio"), 4),
          number(mean_metric(p.records, "output_rel_l2"), 4), number(p.us, 1),
          bench::short_number(p.build_s), number(p.bytes_per_key, 0)})
      row.push_back(std::move(cell));
    t.add(std::move(row));
  }
  std::string about = fmt::format(
      "{} queries, {} heads{}. p5: 5th percentile over heads; worst: of a head, layer/head; mass:\n"
      "over that of the exact top k; L2: error of the output; B/key: beside the keys.{}\n",
      query_set, heads, seeds > 1 ? fmt::format(", {} seeds", seeds) : "",
      left_out == 0 ? "" : fmt::format(" {} dominated points left out.", left_out));
  if (seeds > 1) about += "\u00b1: standard deviation over seeds of the mean over heads.\n";
  if (const double error = mean_metric(exact, "exact_output_rel_l2"); !std::isnan(error))
    about += fmt::format("Attention over the exact top k: mass {:.4f} of all, L2 {:.4f}.\n",
                         mean_metric(exact, "exact_mass_all_frac"), error);
  return about + "\n" + t.markdown() + names.legend();
}

std::string per_head(const std::vector<Point>& all) {
  bench::Table t({"<index", "<search", "<queries", "layer", "head", "recall", "p5", "least",
                  "scan %", "mass", "\u00b5s", "seed"});
  ShortNames names("md", 12);
  for (const Point& p : all)
    for (const Json* r : p.records) {
      const Json& c = (*r)["config"];
      const auto text = [](const Json& value) { return value.is_null() ? "-" : value.dump(); };
      const auto of = [&](const char* name, int decimals, double factor = 1) {
        return number(metric(*r, name), decimals, factor);
      };
      t.add({names.of(p.index), p.search, p.query_set, text(c["layer"]), text(c["head"]),
             of("recall_id", 4), of("recall_id_p05", 3), of("recall_id_min", 3),
             of("scanned_frac", 2, 100), of("mass_k_frac", 4), of("query_us", 1),
             c["seed"].dump()});
    }
  return t.markdown() + names.legend();
}

}  // namespace

std::string curve_table(const std::vector<Json>& records, const Options& o) {
  if (o.format == "none" || records.empty()) return "";
  const std::vector<Point> all = curve_points(records);
  if (o.format == "csv") return csv(all, o.raw);
  std::string out = build_table(records, o.format);
  for (std::size_t i = 0; i < all.size(); ++i)
    if (i == 0 || all[i].query_set != all[i - 1].query_set)
      out += "\n" + summary(all, all[i].query_set, o.raw);
  if (o.common.verbose > 0) out += "\n" + per_head(all);
  return out;
}

}  // namespace ra::recall
