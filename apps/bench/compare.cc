// SPDX-License-Identifier: Apache-2.0
// ra-bench compare: what changed, by how much, how sure; the exit code is for CI.
#include "lib/bench/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "apps/bench/options.h"
#include "lib/bench/compare_report.h"
#include "lib/bench/export.h"
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

// Times that were taken in pairs, but not of the same ones, or only of one, show nothing.
void check_pairs(const std::vector<bench::Measurement>& base,
                 const std::vector<bench::Measurement>& fresh, const std::string& file) {
  for (const bench::Measurement& b : base) {
    const auto f = std::ranges::find(fresh, b.key, &bench::Measurement::key);
    if (f == fresh.end() || b.times.empty() || f->times.empty()) continue;
    const bool paired = b.times.rbegin()->first >= 0 || f->times.rbegin()->first >= 0;
    const std::size_t pairs = bench::common_pairs(b, *f);
    if (paired && pairs < 2)
      fail_bad_data({.what = "too few pairs",
                     .file = file,
                     .where = b.name,
                     .why = pairs == 1 ? "one pair only" : "no pair number that the base has too",
                     .hint = "run both builds in turn with --pair I, or compare with --counters"});
  }
}

}  // namespace

int run_compare(const CompareOptions& o, const cli::CommonOptions& common) {
  const bench::CompareOptions options{.threshold = parse_threshold(o.threshold),
                                      .alpha = o.alpha,
                                      .counters_only = o.counters,
                                      .exact = o.exact,
                                      .unpaired = o.unpaired,
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
  std::vector<bench::Measurement> again;
  if (!o.again.empty()) again = bench::read_measurements(o.again);
  if (!o.counters) check_pairs(base, fresh, o.fresh);
  write_exports(exports, fresh);
  const bench::CompareReport report = bench::compare(base, fresh, again, options);
  fmt::print("{}", bench::render(report, o.format, common.verbose > 0));
  cli::warn(common, report.warnings);
  return static_cast<int>(exit_of(report.verdict));
}

}  // namespace ra::bench_app
