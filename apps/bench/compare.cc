// SPDX-License-Identifier: Apache-2.0
// ra-bench compare: what changed, by how much, how sure; the exit code is for CI.
#include "lib/bench/compare.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/bench/options.h"
#include "lib/bench/table.h"
#include "lib/core/error.h"

namespace ra::bench_app {
namespace {

// "3%" or "0.03" -> 0.03
double parse_threshold(std::string_view text) {
  const bool percent = text.ends_with('%');
  const std::string_view digits = percent ? text.substr(0, text.size() - 1) : text;
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  value = percent ? value / 100 : value;
  if (error != std::errc{} || end != digits.data() + digits.size() || !(value >= 0 && value < 10))
    fail_usage("--threshold", fmt::format("'{}' is not a share", text), "for example 3% or 0.03");
  return value;
}

std::string percent(double x) { return std::isfinite(x) ? fmt::format("{:+.2f} %", 100 * x) : "-"; }

Exit exit_of(bench::Verdict v) {
  switch (v) {
    case bench::Verdict::kRegression:
      return Exit::kCheckFailed;
    case bench::Verdict::kInconclusive:
      return Exit::kInconclusive;
    default:
      return Exit::kOk;
  }
}

}  // namespace

int run_compare(const CompareOptions& o, const cli::CommonOptions& common) {
  const bench::CompareOptions options{.threshold = parse_threshold(o.threshold),
                                      .alpha = o.alpha,
                                      .allow_missing = o.allow_missing,
                                      .seed = common.seed};
  const auto base = bench::read_measurements(o.base), fresh = bench::read_measurements(o.fresh);
  const bench::CompareReport report = bench::compare(base, fresh, options);
  std::size_t quiet_rows = 0;
  bench::Table table(
      {"<measurement", "<metric", "base", "new", "change", "interval", "pairs", "<verdict"});
  for (const bench::Comparison& c : report.rows) {
    // Unchanged deterministic numbers are counted, not listed, unless asked for.
    if (!c.timed && c.verdict == bench::Verdict::kOk && common.verbose == 0) {
      ++quiet_rows;
      continue;
    }
    table.add({c.name, c.metric, fmt::format("{:.6g}", c.base), fmt::format("{:.6g}", c.fresh),
               percent(c.change),
               c.timed ? fmt::format("{}..{}", percent(c.low), percent(c.high)) : "exact",
               c.pairs > 0 ? std::to_string(c.pairs) : "-",
               c.note.empty() ? std::string(bench::verdict_name(c.verdict))
                              : fmt::format("{} ({})", bench::verdict_name(c.verdict), c.note)});
  }
  if (o.format != "none") {
    fmt::print("{}", table.render(o.format));
    if (quiet_rows > 0)
      fmt::print("\n{} deterministic numbers within tolerance (-v lists them)\n", quiet_rows);
    fmt::print("\n{}\n", report.verdict == bench::Verdict::kOk
                             ? "no regression"
                             : bench::verdict_name(report.verdict));
  }
  cli::warn(common, report.warnings);
  return static_cast<int>(exit_of(report.verdict));
}

}  // namespace ra::bench_app
