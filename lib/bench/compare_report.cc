// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/bench/table.h"
#include "lib/core/json.h"

namespace ra::bench {
namespace {

std::string percent(double x) { return std::isfinite(x) ? fmt::format("{:+.2f} %", 100 * x) : "-"; }
std::string number(double x) { return std::isfinite(x) ? fmt::format("{:.6g}", x) : "-"; }

bool quiet(const Comparison& c) { return !c.timed && c.verdict == Verdict::kOk; }

// Regressions, then what is inconclusive, then what improved, then the rest.
int urgency(const Comparison& c) {
  switch (c.verdict) {
    case Verdict::kRegression:
      return 0;
    case Verdict::kInconclusive:
      return 1;
    case Verdict::kImproved:
      return 2;
    case Verdict::kOk:
      return 3;
  }
  return 3;
}

Table table_of(const CompareReport& report, bool all) {
  std::vector<const Comparison*> rows;
  for (const Comparison& c : report.rows)
    if (all || !quiet(c)) rows.push_back(&c);
  std::ranges::stable_sort(rows, {}, [](const Comparison* c) { return urgency(*c); });
  Table table({"<measurement", "<metric", "base", "new", "change", "interval", "threshold", "p",
               "pairs", "<verdict"});
  for (const Comparison* c : rows) {
    const bool compared = c->metric != "-";
    table.add({c->name, c->metric, number(c->base), number(c->fresh), percent(c->change),
               c->timed   ? fmt::format("{}..{}", percent(c->low), percent(c->high))
               : compared ? "exact"
                          : "-",
               c->timed ? percent(c->threshold) : "-", c->timed ? fmt::format("{:.2g}", c->p) : "-",
               c->pairs > 0 ? std::to_string(c->pairs) : "-",
               c->note.empty() ? std::string(verdict_name(c->verdict))
                               : fmt::format("{} ({})", verdict_name(c->verdict), c->note)});
  }
  return table;
}

// "2 of 8 times slower", "1 of 120 counters worse"
std::string summary(const CompareReport& report) {
  std::size_t times = 0, slower = 0, unclear = 0, counters = 0, worse = 0;
  for (const Comparison& c : report.rows) {
    ++(c.timed ? times : counters);
    if (c.verdict == Verdict::kRegression) ++(c.timed ? slower : worse);
    unclear += c.verdict == Verdict::kInconclusive;
  }
  return fmt::format(
      "{}: {} of {} times slower, {} of {} deterministic numbers worse, {} unclear",
      report.verdict == Verdict::kOk ? "no regression" : verdict_name(report.verdict), slower,
      times, worse, counters, unclear);
}

std::string json_of(const CompareReport& report) {
  const auto finite = [](double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); };
  Json rows = Json::array();
  for (const Comparison& c : report.rows) {
    Json row = {{"name", c.name},
                {"metric", c.metric},
                {"evidence", c.timed ? "time" : "deterministic"},
                {"verdict", verdict_name(c.verdict)},
                {"base", finite(c.base)},
                {"new", finite(c.fresh)},
                {"change", finite(c.change)}};
    if (c.timed) {
      row["interval"] = Json::array({finite(c.low), finite(c.high)});
      row["threshold"] = c.threshold;
      row["aa_floor"] = c.floor;
      row["p"] = c.p;
      row["pairs"] = c.pairs;
      row["log_ratios"] = c.log_ratios;
    }
    if (!c.note.empty()) row["note"] = c.note;
    rows.push_back(std::move(row));
  }
  const Json out = {{"verdict", verdict_name(report.verdict)},
                    {"summary", summary(report)},
                    {"warnings", report.warnings},
                    {"rows", rows}};
  return out.dump(2) + "\n";
}

}  // namespace

std::string render(const CompareReport& report, std::string_view format, bool all) {
  if (format == "none") return "";
  if (format == "json") return json_of(report);
  const Table table = table_of(report, all);
  if (format == "csv") return table.csv();
  std::string out = summary(report) + "\n";
  if (!table.empty()) out += "\n" + table.markdown();
  const auto hidden = all ? 0 : std::ranges::count_if(report.rows, quiet);
  if (hidden > 0)
    out += fmt::format("\n{} deterministic numbers within tolerance (-v lists them)\n", hidden);
  return out;
}

}  // namespace ra::bench
