// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "lib/bench/value_rules.h"
#include "lib/stats/quantiles.h"
#include "lib/stats/shift.h"
#include "lib/stats/signed_rank.h"

namespace ra::bench {
namespace {

// ---- deterministic numbers ---------------------------------------------------------------------

Comparison compare_value(const Measurement& base, const Measurement& fresh,
                         const std::string& metric, const ValueRule& rule, bool exact) {
  Comparison c{.name = base.name,
               .metric = metric,
               .base = base.values.at(metric),
               .fresh = fresh.values.at(metric)};
  c.change =
      c.base != 0 ? c.fresh / c.base - 1 : (c.fresh == 0 ? 0.0 : std::copysign(INFINITY, c.fresh));
  const double worse = worse_by(rule, c.base, c.fresh);
  if (base.unsteady.contains(metric) || fresh.unsteady.contains(metric)) {
    c.verdict = Verdict::kInconclusive;
    c.note =
        fmt::format("differs between runs of {}", base.unsteady.contains(metric) ? "base" : "new");
  } else if (worse > 0) {
    c.verdict = Verdict::kRegression;
  } else if (worse < 0) {
    c.verdict = exact ? Verdict::kRegression : Verdict::kImproved;
    if (exact) c.note = "better than what was accepted";
  }
  return c;
}

// A judged number that one side lacks is a hole in the evidence.
void compare_values(const Measurement& base, const Measurement& fresh, const CompareOptions& o,
                    CompareReport& report) {
  for (const auto& [metric, value] : base.values) {
    const ValueRule* rule = value_rule(metric);
    if (rule == nullptr) continue;
    if (fresh.values.contains(metric))
      report.rows.push_back(compare_value(base, fresh, metric, *rule, o.exact));
    else if (!o.allow_missing)
      report.rows.push_back({.name = base.name,
                             .metric = metric,
                             .base = value,
                             .fresh = NAN,
                             .change = NAN,
                             .verdict = Verdict::kInconclusive,
                             .note = "not in new"});
  }
}

// ---- times -------------------------------------------------------------------------------------

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

// Log ratio of one pair. Samples taken in turns are divided one by one before the median: a core
// that changes its speed between two of them spoils one ratio, not the medians of both sides.
double pair_ratio(const std::vector<double>& a, const std::vector<double>& b, bool in_turns) {
  if (!in_turns || a.size() != b.size())
    return std::log(stats::quantile(b, 0.5) / stats::quantile(a, 0.5));
  std::vector<double> ratios(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) ratios[i] = std::log(b[i] / a[i]);
  return stats::quantile(std::move(ratios), 0.5);
}

std::vector<double> pair_ratios(const Measurement& base, const Measurement& fresh) {
  std::vector<double> out;
  for (const auto& [pair, times] : base.times) {
    const auto other = fresh.times.find(pair);
    if (pair < 0 || other == fresh.times.end() || times.empty() || other->second.empty()) continue;
    out.push_back(pair_ratio(times, other->second, base.in_turns && fresh.in_turns));
  }
  return out;
}

// A sample too small to show anything is said to be so, never passed.
constexpr std::size_t kFewestPairs = 5, kFewestSamples = 8, kMostSamples = 200;
constexpr int kPairedResamples = 4000, kUnpairedResamples = 300;

// Evenly thinned: the shift of all pairs of 200 x 200 samples takes a few milliseconds a resample.
std::vector<double> thinned(std::vector<double> v) {
  if (v.size() <= kMostSamples) return v;
  std::vector<double> out;
  for (std::size_t i = 0; i < kMostSamples; ++i) out.push_back(v[i * v.size() / kMostSamples]);
  return out;
}

struct Timed {
  Comparison row;
  bool enough = true;
};

Timed compare_time(const Measurement& base, const Measurement& fresh, const Measurement* again,
                   const CompareOptions& o) {
  Timed t;
  const std::vector<double> a = all_times(base), b = all_times(fresh);
  t.row = {.name = base.name,
           .metric = base.time_name,
           .base = stats::quantile(a, 0.5),
           .fresh = stats::quantile(b, 0.5),
           .threshold = o.threshold,
           .timed = true};
  if (again != nullptr)
    if (const auto own = pair_ratios(base, *again); !own.empty())
      t.row.floor = std::expm1(std::abs(stats::hodges_lehmann(own)));
  t.row.threshold = std::max(o.threshold, 2 * t.row.floor);
  const std::vector<double> ratios = pair_ratios(base, fresh);
  stats::ShiftOptions interval{
      .confidence = 1 - o.alpha, .resamples = kPairedResamples, .seed = o.seed};
  stats::Shift shift;
  if (!ratios.empty()) {
    t.row.pairs = ratios.size();
    t.row.log_ratios = ratios;
    shift = stats::paired_shift(ratios, interval);
    t.row.p = stats::signed_rank_p_above(ratios, std::log1p(t.row.threshold));
    t.enough = ratios.size() >= kFewestPairs;
  } else {
    interval.resamples = kUnpairedResamples;
    const auto x = logs(thinned(a)), y = logs(thinned(b));
    shift = stats::unpaired_shift(x, y, interval);
    t.row.p = shift.low > std::log1p(t.row.threshold) ? 0 : 1;  // the interval alone decides
    t.enough = std::min(x.size(), y.size()) >= kFewestSamples;
  }
  t.row.change = std::expm1(shift.estimate);
  t.row.low = std::expm1(shift.low);
  t.row.high = std::expm1(shift.high);
  return t;
}

void judge_time(Comparison& row, bool enough, const CompareOptions& o) {
  const auto inconclusive = [&](std::string why) {
    row.verdict = Verdict::kInconclusive;
    row.note = std::move(why);
  };
  if (!enough) return inconclusive("too few samples");
  if (row.pairs == 0 && !o.unpaired) return inconclusive("times are not paired");
  if (row.low > row.threshold && row.p <= o.alpha) {
    row.verdict = Verdict::kRegression;
  } else if (row.high < -row.threshold) {
    row.verdict = Verdict::kImproved;
  } else if (row.high < row.threshold) {
    row.verdict = Verdict::kOk;
  } else {
    inconclusive(row.low > row.threshold ? "too few pairs for so many measurements"
                                         : "interval crosses the threshold");
  }
  if (row.threshold > o.threshold && row.note.empty()) row.note = "threshold raised to twice A/A";
}

void judge_times(std::vector<Timed>& timed, const CompareOptions& o, CompareReport& report) {
  std::vector<double> p;
  for (const Timed& t : timed) p.push_back(t.row.p);
  const std::vector<double> adjusted = stats::holm(p);
  bool unpaired = false;
  for (std::size_t i = 0; i < timed.size(); ++i) {
    timed[i].row.p = adjusted[i];
    judge_time(timed[i].row, timed[i].enough, o);
    unpaired |= timed[i].row.pairs == 0;
    report.rows.push_back(timed[i].row);
  }
  if (unpaired)
    report.warnings.push_back(
        "times are not paired: samples of one process each, so drift of the machine is not removed "
        "(run both builds in turn with --pair I; --unpaired judges them all the same)");
}

// ---- what may be compared ----------------------------------------------------------------------

// Empty if the two ran alike, else the field that differs.
std::string machine_difference(const Measurement& base, const Measurement& fresh,
                               bool counters_only) {
  for (const auto& [field, value] : base.machine) {
    if (counters_only && field != "isa") continue;
    const auto other = fresh.machine.find(field);
    const std::string theirs = other == fresh.machine.end() ? "" : other->second;
    if (theirs != value) return fmt::format("{}: '{}' against '{}'", field, value, theirs);
  }
  return "";
}

std::vector<std::string> different_fields(const Json& a, const Json& b) {
  std::vector<std::string> out;
  for (const auto& [field, value] : a.items())
    if (!b.contains(field) || b[field] != value) out.push_back(field);
  for (const auto& [field, value] : b.items())
    if (!a.contains(field)) out.push_back(field);
  return out;
}

std::string field_text(const Json& config, const std::string& field) {
  const std::size_t most = field.ends_with("_sha256") ? 12 : 40;
  if (!config.contains(field)) return "absent";
  const std::string text = config[field].dump();
  return text.size() <= most ? text : text.substr(0, most) + "...";
}

// The measurement among `left` that was most likely meant: same tool and kind, fewest config fields
// that differ, few of those it has.
const Measurement* nearest(const Measurement& m,
                           const std::map<std::string, const Measurement*>& left) {
  const Measurement* best = nullptr;
  std::size_t fewest = m.config.size() / 2 + 1;
  for (const auto& [key, other] : left) {
    if (other->tool != m.tool || other->kind != m.kind || m.tool == "googlebench") continue;
    const std::size_t n = different_fields(m.config, other->config).size();
    if (n < fewest) {
      fewest = n;
      best = other;
    }
  }
  return best;
}

void refuse(const Measurement& m, std::string why, CompareReport& report) {
  report.rows.push_back({.name = m.name,
                         .metric = "-",
                         .base = NAN,
                         .fresh = NAN,
                         .change = NAN,
                         .verdict = Verdict::kInconclusive,
                         .note = std::move(why)});
}

using Unmatched = std::map<std::string, const Measurement*>;

// Measurements on one side only: renamed by a field of their config, or missing.
void report_unmatched(Unmatched base, Unmatched fresh, const CompareOptions& o,
                      CompareReport& report) {
  const auto missing = [&](const Measurement& m, std::string_view side) {
    report.warnings.push_back(fmt::format("{}: only in {}", m.name, side));
    if (!o.allow_missing) refuse(m, fmt::format("only in {}", side), report);
  };
  for (const auto& [key, b] : base) {
    const Measurement* f = o.allow_missing ? nullptr : nearest(*b, fresh);
    if (f == nullptr) {
      missing(*b, "base");
      continue;
    }
    std::string why;
    for (const std::string& field : different_fields(b->config, f->config))
      why += fmt::format("{}{}: {} against {}", why.empty() ? "not compared, " : "; ", field,
                         field_text(b->config, field), field_text(f->config, field));
    refuse(*b, std::move(why), report);
    fresh.erase(f->key);
  }
  for (const auto& [key, f] : fresh) missing(*f, "new");
}

void finish(CompareReport& report) {
  const auto has = [&](Verdict v) {
    return std::any_of(report.rows.begin(), report.rows.end(),
                       [&](const auto& r) { return r.verdict == v; });
  };
  report.verdict = has(Verdict::kRegression)                            ? Verdict::kRegression
                   : has(Verdict::kInconclusive) || report.rows.empty() ? Verdict::kInconclusive
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

std::size_t common_pairs(const Measurement& base, const Measurement& fresh) {
  return static_cast<std::size_t>(std::ranges::count_if(base.times, [&](const auto& entry) {
    return entry.first >= 0 && fresh.times.contains(entry.first);
  }));
}

CompareReport compare(const std::vector<Measurement>& base, const std::vector<Measurement>& fresh,
                      const std::vector<Measurement>& again, const CompareOptions& o) {
  CompareReport report;
  Unmatched fresh_left, base_left;
  for (const Measurement& m : fresh) fresh_left[m.key] = &m;
  std::vector<Timed> timed;
  std::string compilers;
  for (const Measurement& b : base) {
    const auto found = fresh_left.find(b.key);
    if (found == fresh_left.end()) {
      base_left[b.key] = &b;
      continue;
    }
    const Measurement& f = *found->second;
    fresh_left.erase(found);
    if (const std::string field = machine_difference(b, f, o.counters_only); !field.empty()) {
      refuse(b, "other machine: " + field, report);
      continue;
    }
    if (b.compiler != f.compiler)
      compilers = fmt::format("compilers differ: '{}' against '{}'", b.compiler, f.compiler);
    compare_values(b, f, o, report);
    if (o.counters_only || b.time_name.empty() || all_times(b).empty() || all_times(f).empty())
      continue;
    const auto self = std::ranges::find(again, b.key, &Measurement::key);
    timed.push_back(compare_time(b, f, self == again.end() ? nullptr : &*self, o));
  }
  if (!compilers.empty()) report.warnings.push_back(compilers);
  report_unmatched(std::move(base_left), std::move(fresh_left), o, report);
  judge_times(timed, o, report);
  finish(report);
  return report;
}

}  // namespace ra::bench
