// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "lib/bench/value_rules.h"
#include "lib/stats/quantiles.h"
#include "lib/stats/shift.h"

namespace ra::bench {
namespace {

Comparison compare_value(const Measurement& m, const std::string& metric, const ValueRule& rule,
                         double base, double fresh) {
  Comparison c{.name = m.name, .metric = metric, .base = base, .fresh = fresh};
  c.change = base != 0 ? fresh / base - 1 : (fresh == 0 ? 0.0 : std::copysign(INFINITY, fresh));
  const double worse = rule.larger_is_better ? base - fresh : fresh - base;
  const double tolerated = rule.relative * std::abs(base) + rule.absolute;
  c.verdict = worse > tolerated    ? Verdict::kRegression
              : worse < -tolerated ? Verdict::kImproved
                                   : Verdict::kOk;
  return c;
}

std::vector<double> logs(const std::vector<double>& values) {
  std::vector<double> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(), [](double v) { return std::log(v); });
  return out;
}

std::vector<double> all_times(const Measurement& m) {
  std::vector<double> out;
  for (const auto& [pair, times] : m.times) out.insert(out.end(), times.begin(), times.end());
  return out;
}

// Log ratios of medians, one per pair number that both sides have.
std::vector<double> pair_ratios(const Measurement& base, const Measurement& fresh) {
  std::vector<double> out;
  for (const auto& [pair, times] : base.times) {
    const auto other = fresh.times.find(pair);
    if (pair < 0 || other == fresh.times.end() || times.empty() || other->second.empty()) continue;
    out.push_back(std::log(stats::quantile(other->second, 0.5) / stats::quantile(times, 0.5)));
  }
  return out;
}

// A sample too small to show anything is said to be so, never passed.
constexpr std::size_t kFewestPairs = 5, kFewestSamples = 8, kMostSamples = 200;

// Evenly thinned: the shift of all pairs of 200 x 200 samples takes a few milliseconds a resample.
std::vector<double> thinned(std::vector<double> v) {
  if (v.size() <= kMostSamples) return v;
  std::vector<double> out;
  for (std::size_t i = 0; i < kMostSamples; ++i) out.push_back(v[i * v.size() / kMostSamples]);
  return out;
}

struct Timed {
  Comparison row;
  stats::Shift slower, faster;  // against +threshold and against -threshold
  bool enough = true;
};

Timed compare_time(const Measurement& base, const Measurement& fresh, const CompareOptions& o) {
  Timed t;
  const std::vector<double> a = all_times(base), b = all_times(fresh);
  t.row = {.name = base.name,
           .metric = base.time_name,
           .base = stats::quantile(a, 0.5),
           .fresh = stats::quantile(b, 0.5),
           .timed = true};
  const std::vector<double> ratios = pair_ratios(base, fresh);
  const double threshold = std::log1p(o.threshold);
  stats::ShiftOptions up{
      .threshold = threshold, .confidence = 1 - o.alpha, .resamples = 1000, .seed = o.seed};
  stats::ShiftOptions down = up;
  down.threshold = -threshold;
  if (!ratios.empty()) {
    t.row.pairs = ratios.size();
    t.slower = stats::paired_shift(ratios, up);
    t.faster = stats::paired_shift(ratios, down);
    t.enough = ratios.size() >= kFewestPairs;
  } else {
    const auto x = logs(thinned(a)), y = logs(thinned(b));
    up.resamples = down.resamples = 300;
    t.slower = stats::unpaired_shift(x, y, up);
    t.faster = stats::unpaired_shift(x, y, down);
    t.enough = std::min(x.size(), y.size()) >= kFewestSamples;
  }
  t.row.change = std::expm1(t.slower.estimate);
  t.row.low = std::expm1(t.slower.low);
  t.row.high = std::expm1(t.slower.high);
  return t;
}

void judge_times(std::vector<Timed>& timed, const CompareOptions& o, CompareReport& report) {
  std::vector<double> p;
  for (const Timed& t : timed) p.push_back(t.slower.p_above);
  const std::vector<double> adjusted = stats::holm(p);
  for (std::size_t i = 0; i < timed.size(); ++i) {
    Timed& t = timed[i];
    // 1 / (resamples + 1) times the family size may exceed alpha: then the interval alone decides.
    const bool surely_slower = t.row.low > o.threshold && (adjusted[i] <= o.alpha || p[i] < 5e-3);
    if (!t.enough) {
      t.row.verdict = Verdict::kInconclusive;
      t.row.note = "too few samples";
    } else if (surely_slower) {
      t.row.verdict = Verdict::kRegression;
    } else if (t.row.high < -o.threshold) {
      t.row.verdict = Verdict::kImproved;
    } else if (t.row.high < o.threshold) {
      t.row.verdict = Verdict::kOk;
    } else {
      t.row.verdict = Verdict::kInconclusive;
      t.row.note = "interval crosses the threshold";
    }
    report.rows.push_back(t.row);
  }
}

// Empty if the two ran alike, else the field that differs.
std::string machine_difference(const Measurement& base, const Measurement& fresh) {
  for (const auto& [field, value] : base.machine) {
    const auto other = fresh.machine.find(field);
    if (other == fresh.machine.end() || other->second != value)
      return fmt::format("{}: '{}' against '{}'", field, value,
                         other == fresh.machine.end() ? "" : other->second);
  }
  return "";
}

void finish(CompareReport& report) {
  const auto has = [&](Verdict v) {
    return std::any_of(report.rows.begin(), report.rows.end(),
                       [&](const auto& r) { return r.verdict == v; });
  };
  report.verdict = has(Verdict::kRegression)     ? Verdict::kRegression
                   : has(Verdict::kInconclusive) ? Verdict::kInconclusive
                                                 : Verdict::kOk;
}

}  // namespace

std::string_view verdict_name(Verdict v) {
  switch (v) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kImproved:
      return "improved";
    case Verdict::kRegression:
      return "regression";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "";
}

CompareReport compare(const std::vector<Measurement>& base, const std::vector<Measurement>& fresh,
                      const CompareOptions& o) {
  CompareReport report;
  std::map<std::string, const Measurement*> by_key;
  for (const Measurement& m : fresh) by_key[m.key] = &m;
  std::vector<Timed> timed;
  const auto missing = [&](const Measurement& m, std::string_view side) {
    report.warnings.push_back(fmt::format("{}: only in {}", m.name, side));
    if (!o.allow_missing)
      report.rows.push_back({.name = m.name,
                             .metric = "-",
                             .verdict = Verdict::kInconclusive,
                             .note = fmt::format("only in {}", side)});
  };
  bool unpaired = false;
  for (const Measurement& b : base) {
    const auto found = by_key.find(b.key);
    if (found == by_key.end()) {
      missing(b, "base");
      continue;
    }
    const Measurement& f = *found->second;
    by_key.erase(found);
    if (const std::string field = machine_difference(b, f); !field.empty()) {
      report.rows.push_back({.name = b.name,
                             .metric = "-",
                             .verdict = Verdict::kInconclusive,
                             .note = "other machine: " + field});
      continue;
    }
    for (const auto& [metric, value] : b.values) {
      const ValueRule* rule = value_rule(metric);
      const auto other = f.values.find(metric);
      if (rule != nullptr && other != f.values.end())
        report.rows.push_back(compare_value(b, metric, *rule, value, other->second));
    }
    if (b.time_name.empty() || all_times(b).empty() || all_times(f).empty()) continue;
    timed.push_back(compare_time(b, f, o));
    unpaired |= timed.back().row.pairs == 0;
  }
  for (const Measurement& f : fresh)
    if (by_key.contains(f.key)) missing(f, "new");
  if (unpaired)
    report.warnings.push_back(
        "times are not paired: samples of one process each, so drift of the machine is not removed "
        "(run both builds in turn with --pair I)");
  judge_times(timed, o, report);
  finish(report);
  return report;
}

}  // namespace ra::bench
