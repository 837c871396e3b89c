// SPDX-License-Identifier: Apache-2.0
// ra-bench compare: what changed, by how much, how sure; the exit code is for CI.
#include "lib/bench/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "apps/bench/options.h"
#include "lib/bench/export.h"
#include "lib/bench/table.h"
#include "lib/core/error.h"
#include "lib/core/output_file.h"

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

struct Export {
  std::string format;
  std::filesystem::path file;
};

std::vector<Export> parse_exports(const std::vector<std::string>& given) {
  std::vector<Export> out;
  for (const std::string& text : given) {
    const std::size_t at = text.find('=');
    const std::string format = text.substr(0, at);
    if (std::ranges::find(bench::export_formats(), format) == bench::export_formats().end())
      fail_usage(
          "--export", fmt::format("'{}' is not a format", format),
          fmt::format("FORMAT=FILE with one of {}", fmt::join(bench::export_formats(), ", ")));
    if (at == std::string::npos || at + 1 == text.size())
      fail_usage("--export", fmt::format("'{}' names no file", text), "FORMAT=FILE");
    out.push_back({format, text.substr(at + 1)});
  }
  return out;
}

void write_exports(const std::vector<Export>& exports, const std::vector<bench::Measurement>& all) {
  for (const Export& e : exports)
    write_file(e.file, bench::export_as(e.format, all), /*force=*/true);
}

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
  const std::vector<Export> exports = parse_exports(o.exports);
  if (o.fresh.empty() && exports.empty())
    fail_usage("new", "one file is nothing to compare", "give the second, or --export FORMAT=FILE");
  const auto base = bench::read_measurements(o.base);
  if (o.fresh.empty()) {
    write_exports(exports, base);
    return static_cast<int>(Exit::kOk);
  }
  const auto fresh = bench::read_measurements(o.fresh);
  write_exports(exports, fresh);
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
